/** Finds resources with data that CloudFormation would delete or replace in an upgrade. */
import { at, type Json, type View } from './view.ts';

/** Stateful resource types, each with the properties whose change causes replacement (AWS CloudFormation template reference). */
const replacing: Record<string, readonly string[]> = {
  'AWS::KMS::Key': [],
  'AWS::Logs::LogGroup': ['LogGroupName'],
  'AWS::S3::Bucket': ['BucketName', 'ObjectLockEnabled'],
  'AWS::SecretsManager::Secret': ['Name'],
  'AWS::SQS::Queue': ['FifoQueue', 'QueueName'],
};

export interface Stateful {
  type: string;
  stack: string;
  /** The properties that cause replacement, if set. */
  properties: Record<string, Json>;
}

/** By logical ID. */
export function statefulResources(view: View): Record<string, Stateful> {
  return Object.fromEntries(
    view.resources.flatMap(({ id, type, stack, properties }) => {
      const names = replacing[type];
      if (names === undefined) return [];
      const set = names.flatMap((name) => {
        const value = at(properties, name);
        return value === undefined ? [] : [[name, value as Json] as const];
      });
      return [[id, { type, stack, properties: Object.fromEntries(set) }] as const];
    }),
  );
}

export function lossesBetween(before: Record<string, Stateful>, after: Record<string, Stateful>): string[] {
  return Object.entries(before).flatMap(([id, was]) => {
    const is = after[id];
    if (is === undefined) return [`${id} (${was.type}) is deleted`];
    return JSON.stringify(is) === JSON.stringify(was) ? [] : [`${id} (${was.type}) is replaced`];
  });
}
