import type { IncomingMessage } from 'node:http';

/** The body of one request, taken at most once, and what of it nobody took. */
export class RequestBody {
  readonly #message: IncomingMessage;
  readonly #sendContinue: (() => void) | undefined;
  #continued = false;

  /** @param sendContinue when the client waits for `100 Continue` before it sends anything */
  constructor(message: IncomingMessage, sendContinue: (() => void) | undefined) {
    this.#message = message;
    this.#sendContinue = sendContinue;
  }

  /** The bytes as they arrive; throws when the client goes away before the last. */
  async *read(): AsyncGenerator<Buffer, void, undefined> {
    if (this.#sendContinue && !this.#continued) {
      this.#continued = true;
      this.#sendContinue();
    }
    // The iterator must not close the socket when a refusal stops reading: the answer still has to go out.
    yield* this.#message.iterator({ destroyOnReturn: false });
  }

  /** Takes `bytes`, or all there are if fewer. */
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

  /** Whether bytes are still coming: not when the client was never told to go on. */
  get isComing(): boolean {
    return !this.isComplete && (this.#sendContinue === undefined || this.#continued);
  }
}
