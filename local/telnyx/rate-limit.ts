import type { Time } from '../../functions/time.ts';

export interface RequestLimit {
  requests: number;
  perSeconds: number;
}

export interface RateLimitResult {
  allowed: boolean;
  /** Rate limit headers, which Telnyx sends in every response. The reset is in seconds. */
  headers: Record<string, string>;
}

/** Telnyx publishes no limit. This one is never reached and only provides the headers. */
const defaultLimit: RequestLimit = { requests: 100_000, perSeconds: 1 };

/**
 * Creates a rate limiter with a fixed window, as `x-ratelimit-reset` implies
 * (https://developers.telnyx.com/development/api-fundamentals/reliability/rate-limiting).
 */
export function createRateLimiter(limit: RequestLimit = defaultLimit, time: Time): () => RateLimitResult {
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
