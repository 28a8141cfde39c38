/**
 * Names of the archiver's lanes, each with a queue and a dead-letter queue. The archive function reads `documents`
 * (live) and `backfill`, the discover function `discovery` (live) and `spans`, the audit function `audit`.
 */
export const laneNames = ['documents', 'backfill', 'discovery', 'spans', 'audit'] as const;

export type LaneName = (typeof laneNames)[number];
