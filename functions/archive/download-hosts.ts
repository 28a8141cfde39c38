/** Host names with wildcards, for the hosts that download links may lead to. `infra/stage.ts` documents the language. */

/** RFC 1035, section 2.3.4; a URL's host name has no final dot. */
const longestHost = 253;

/**
 * An AWS region as it stands in a host name, such as `us-gov-west-1`. Exact, because what else stands in that place
 * may be anybody's: `s3-x.us-east-1.elb.amazonaws.com` is a load balancer of whoever has called it `s3-x`.
 */
const region = /^[a-z]{2,4}(?:-[a-z]{2,4})?-(?:central|north|south|(?:north|south)?(?:east|west))-\d{1,2}$/;
const name = /^[a-z0-9-]+$/;
const wildcards = [
  { sign: '*', stands: name },
  { sign: '<region>', stands: region },
];

/** Whether the text is a host name in lower case in which each label holds at most one `*` or `<region>`. */
export function isHostPattern(text: string): boolean {
  if (text.length > longestHost) return false;
  // A top-level domain begins with a letter; a number at the end makes an IP address (WHATWG URL, "ends in a number").
  const topLevel = text.slice(text.lastIndexOf('.') + 1);
  return /^[a-z][a-z0-9-]*$/.test(topLevel) && text.split('.').every(isLabelPattern);
}

function isLabelPattern(label: string): boolean {
  const { before, after } = partsOf(label);
  return label !== '' && /^[a-z0-9-]*$/.test(before + after);
}

/**
 * Whether `hostname`, in lower case, matches the pattern. Goes through the labels once and keeps every place of the
 * pattern that they may have led to, so that no host name makes it try one way after the other.
 */
export function matchesHost(hostname: string, pattern: string): boolean {
  if (hostname.length > longestHost) return false;
  const labels = pattern.split('.');
  let places = new Set([0]);
  for (const label of hostname.split('.')) {
    const next = new Set<number>();
    for (const place of places) {
      const expected = labels[place];
      if (expected === undefined || !matchesLabel(label, expected)) continue;
      next.add(place + 1);
      // A `*` by itself may go on for further labels.
      if (expected === '*') next.add(place);
    }
    places = next;
  }
  return places.has(labels.length);
}

function matchesLabel(label: string, pattern: string): boolean {
  const { before, stands, after } = partsOf(pattern);
  if (stands === undefined) return label === pattern;
  return (
    label.startsWith(before) &&
    label.endsWith(after) &&
    stands.test(label.slice(before.length, label.length - after.length))
  );
}

/** What stands before and after a label's wildcard, and what the wildcard stands for; all of it before if it has none. */
function partsOf(label: string): { before: string; stands: RegExp | undefined; after: string } {
  for (const { sign, stands } of wildcards) {
    const at = label.indexOf(sign);
    if (at >= 0) return { before: label.slice(0, at), stands, after: label.slice(at + sign.length) };
  }
  return { before: label, stands: undefined, after: '' };
}
