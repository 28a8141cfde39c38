/** Host name patterns that say where download links may lead. The comments in `infra/stage.ts` document the syntax. */

/** RFC 1035, section 2.3.4. The host name of a URL has no final dot. */
const maxHostLength = 253;

/**
 * An AWS region in a host name, such as `us-gov-west-1`. Matches no other label, because such a host can belong to
 * anyone: `s3-x.us-east-1.elb.amazonaws.com` is the load balancer of any AWS customer who names it `s3-x`.
 */
const region = /^[a-z]{2,4}(?:-[a-z]{2,4})?-(?:central|north|south|(?:north|south)?(?:east|west))-\d{1,2}$/;
const labelText = /^[a-z0-9-]+$/;
const wildcards = [
  { token: '*', matches: labelText },
  { token: '<region>', matches: region },
];

/** Whether the text is a lower-case host name with at most one `*` or `<region>` per label. */
export function isHostPattern(text: string): boolean {
  if (text.length > maxHostLength) return false;
  // A host whose last label is a number is an IP address (WHATWG URL, "ends in a number"), so require a letter first.
  const topLevel = text.slice(text.lastIndexOf('.') + 1);
  return /^[a-z][a-z0-9-]*$/.test(topLevel) && text.split('.').every(isLabelPattern);
}

function isLabelPattern(label: string): boolean {
  const { before, after } = splitAtWildcard(label);
  return label !== '' && /^[a-z0-9-]*$/.test(before + after);
}

/**
 * Whether `hostname`, in lower case, matches the pattern. Reads each label once and keeps the set of all possible
 * positions in the pattern instead of backtracking, so the time is bounded for every host name.
 */
export function matchesHost(hostname: string, pattern: string): boolean {
  if (hostname.length > maxHostLength) return false;
  const labels = pattern.split('.');
  let positions = new Set([0]);
  for (const label of hostname.split('.')) {
    const next = new Set<number>();
    for (const position of positions) {
      const expected = labels[position];
      if (expected === undefined || !matchesLabel(label, expected)) continue;
      next.add(position + 1);
      // A `*` that is a whole label matches one or more labels.
      if (expected === '*') next.add(position);
    }
    positions = next;
  }
  return positions.has(labels.length);
}

function matchesLabel(label: string, pattern: string): boolean {
  const { before, matches, after } = splitAtWildcard(pattern);
  if (matches === undefined) return label === pattern;
  return (
    label.startsWith(before) &&
    label.endsWith(after) &&
    matches.test(label.slice(before.length, label.length - after.length))
  );
}

/** The text before and after a label's wildcard, and what the wildcard matches. Without a wildcard, all is `before`. */
function splitAtWildcard(label: string): { before: string; matches: RegExp | undefined; after: string } {
  for (const { token, matches } of wildcards) {
    const at = label.indexOf(token);
    if (at >= 0) return { before: label.slice(0, at), matches, after: label.slice(at + token.length) };
  }
  return { before: label, matches: undefined, after: '' };
}
