import type { Time } from '../../functions/time.ts';

export interface RequestLimit {
  requests: number;
  perSeconds: number;
}

export interface Taken {
  allowed: boolean;
  /** Telnyx states the limit in every answer; the reset counts seconds. */
  headers: Record<string, string>;
}

/** Telnyx publishes no figures. This one is there for its headers alone. */
const unreachable: RequestLimit = { requests: 100_000, perSeconds: 1 };

/**
 * A fixed window, as `x-ratelimit-reset` describes it
 * (https://developers.telnyx.com/development/api-fundamentals/reliability/rate-limiting).
 */
export function takeToken(limit: RequestLimit = unreachable, time: Time): () => Taken {
  const windowMs = limit.perSeconds * 1_000;
  let windowEnds = time.monotonic() + windowMs;
  let used = 0;
  return () => {
    const now = time.monotonic();
    if (now >= windowEnds) {
      windowEnds = now + windowMs;
      used = 0;
    }
    used += 1;
    return {
      allowed: used <= limit.requests,
      headers: {
        'x-ratelimit-limit': String(limit.requests),
        'x-ratelimit-remaining': String(Math.max(0, limit.requests - used)),
        'x-ratelimit-reset': String(Math.ceil((windowEnds - now) / 1_000)),
      },
    };
  };
}
