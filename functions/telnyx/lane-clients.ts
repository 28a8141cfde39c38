import type { HttpGet } from '../http.ts';
import type { Random } from '../time.ts';
import { createTelnyxClient, type TelnyxClient, type TelnyxClientOptions } from './client.ts';
import { createPacer } from './pacing.ts';

export interface LaneClientOptions extends Omit<TelnyxClientOptions, 'pacer'> {
  /** For requests of the low lane. @default `httpGet` */
  lowLaneHttpGet?: HttpGet | undefined;
  /** Maximum concurrent low-lane invocations of all functions together. */
  invocations: number;
  random: Random;
}

/** Two clients for a function with a live and a low lane. The low lane's client leaves Telnyx's rate limit to live work. */
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
