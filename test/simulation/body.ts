import { Readable } from 'node:stream';
import type { HttpResponse } from '../../functions/http.ts';
import { abortError, type Container } from './container.ts';
import type { SimulationContext } from './context.ts';

export interface BodyPlan {
  chunks: readonly Buffer[];
  /** Milliseconds before each chunk. @default 0 */
  pauseMs?: number;
  /** What happens after the last chunk; an error destroys the stream. @default end */
  ends?: 'end' | 'stall' | Error;
}

/** A response body as a stream. */
class Body extends Readable {
  readonly #chunks: Buffer[];
  readonly #plan: BodyPlan;
  readonly #container: Container;
  readonly #after: (ms: number, callback: () => void) => void;

  constructor(plan: BodyPlan, container: Container, after: (ms: number, callback: () => void) => void) {
    super();
    this.#plan = plan;
    this.#chunks = [...plan.chunks];
    this.#container = container;
    this.#after = after;
    container.openBodies += 1;
  }

  override _read(): void {
    const { pauseMs = 0 } = this.#plan;
    if (pauseMs === 0) this.#next();
    else this.#after(pauseMs, () => this.#next());
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#container.openBodies -= 1;
    callback(error);
  }

  #next(): void {
    if (this.destroyed || !this.#container.alive) return;
    const chunk = this.#chunks.shift();
    const { ends = 'end' } = this.#plan;
    if (chunk !== undefined) this.push(chunk);
    else if (ends === 'end') this.push(null);
    else if (ends !== 'stall') this.destroy(ends);
  }
}

export function createAnswer(
  status: number,
  headers: Record<string, string>,
  plan: BodyPlan,
  {
    container,
    clock,
    signal,
  }: { container: Container; clock: SimulationContext['clock']; signal: AbortSignal },
): HttpResponse {
  const body = new Body(plan, container, (ms, callback) => clock.after(ms, callback));
  const onAbort = () => body.destroy(abortError());
  signal.addEventListener('abort', onAbort, { once: true });
  body.on('close', () => signal.removeEventListener('abort', onAbort));
  return { status, headers, body };
}
