import type { IncomingMessage } from 'node:http';

/** Body of one request. */
export class RequestBody {
  readonly #message: IncomingMessage;
  readonly #sendContinue: (() => void) | undefined;
  #continued = false;

  /** @param sendContinue set if the client waits for `100 Continue` before it sends the body */
  constructor(message: IncomingMessage, sendContinue: (() => void) | undefined) {
    this.#message = message;
    this.#sendContinue = sendContinue;
  }

  /** Reads the bytes as they arrive. Throws if the client disconnects before the last. */
  async *read(): AsyncGenerator<Buffer, void, undefined> {
    if (this.#sendContinue && !this.#continued) {
      this.#continued = true;
      this.#sendContinue();
    }
    // Keep the socket open when reading stops early: the response must still be sent.
    yield* this.#message.iterator({ destroyOnReturn: false });
  }

  /** Reads and discards at least this many bytes, or all if there are fewer. */
  async skip(bytes: number): Promise<void> {
    if (bytes <= 0) return;
    let skipped = 0;
    for await (const chunk of this.read()) {
      skipped += chunk.length;
      if (skipped >= bytes) return;
    }
  }

  /** Whether the client has sent its whole body. */
  get isComplete(): boolean {
    return this.#message.complete;
  }

  /** Whether the client is still sending. False if it waits for a `100 Continue` that was never sent. */
  get isComing(): boolean {
    return !this.isComplete && (this.#sendContinue === undefined || this.#continued);
  }
}
