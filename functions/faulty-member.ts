import type { BaseIssue } from 'valibot';

/**
 * Where an object does not follow its schema, such as `object.sha256`. Of an unknown member only where it is: somebody else
 * chose its name, which may be about a person.
 */
export function faultyMember({ path, expected }: BaseIssue<unknown>): string {
  const members = path?.map(({ key }) => String(key)) ?? [];
  const isUnknown = expected === 'never';
  const place = (isUnknown ? members.slice(0, -1) : members).join('.') || 'the top level';
  return isUnknown ? `a member of ${place}` : place;
}
