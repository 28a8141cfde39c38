import type { Random } from '../time.ts';
import { createTelnyxClient, type TelnyxClient, type TelnyxClientOptions } from './client.ts';
import { createPacer } from './pacing.ts';

export interface LaneClientOptions extends Omit<TelnyxClientOptions, 'pacer'> {
  /** Invocations of low lanes that may run at once, in all functions together. */
  invocations: number;
  random: Random;
}

/** The two clients of a function that has a live and a low lane; the second leaves Telnyx's rate limit to the first. */
export function createLaneClients({ invocations, random, ...options }: LaneClientOptions): {
  telnyx: TelnyxClient;
  lowLaneTelnyx: TelnyxClient;
} {
  const pacer = createPacer({ invocations, time: options.time, random });
  return { telnyx: createTelnyxClient(options), lowLaneTelnyx: createTelnyxClient({ ...options, pacer }) };
}
