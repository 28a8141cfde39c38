import type { HttpGet } from '../http.ts';
import type { Random } from '../time.ts';
import { createTelnyxClient, type TelnyxClient, type TelnyxClientOptions } from './client.ts';
import { createPacer } from './pacing.ts';

export interface LaneClientOptions extends Omit<TelnyxClientOptions, 'pacer'> {
  /** Requests of the low lane. @default `httpGet` */
  lowLaneHttpGet?: HttpGet | undefined;
  /** Low-lane invocations that may run at once, in all functions together. */
  invocations: number;
  random: Random;
}

/** Two clients for a function with a live and a low lane. The low lane's leaves Telnyx's rate limit to the live one. */
export function createLaneClients({ lowLaneHttpGet, invocations, random, ...options }: LaneClientOptions): {
  telnyx: TelnyxClient;
  lowLaneTelnyx: TelnyxClient;
} {
  const pacer = createPacer({ invocations, time: options.time, random });
  return {
    telnyx: createTelnyxClient(options),
    lowLaneTelnyx: createTelnyxClient({ ...options, httpGet: lowLaneHttpGet ?? options.httpGet, pacer }),
  };
}
