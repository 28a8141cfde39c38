/** The archiver's lanes, each with a queue and a dead-letter queue; within each stage the live lane comes first. */
export const laneNames = ['documents', 'backfill', 'discovery', 'spans'] as const;

export type LaneName = (typeof laneNames)[number];
