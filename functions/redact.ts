/**
 * Removes secrets from text before it goes into a log line or a dead letter. The second line of defence: text of other
 * parties should not be quoted in the first place.
 */

/** Longest secret that `api-key.ts` accepts, in characters. */
const longestSecret = 512;
/** Number of secrets to remember: the key in use and its predecessors, which Telnyx may still accept. */
const rememberedSecrets = 4;

const secrets: string[] = [];
/** Matches nothing until there is a secret. */
let secretPattern = /(?!)/;

/**
 * Makes `redact` replace this secret from now on, in any usual encoding. Applies to the whole process, since the author
 * of a log line cannot know which secrets a quoted text contains.
 */
export function hideSecret(secret: string): void {
  if (secret === '' || secrets.includes(secret)) return;
  secrets.unshift(secret);
  secrets.length = Math.min(secrets.length, rememberedSecrets);
  const forms = secrets.flatMap(formsOf).sort((a, b) => b.length - a.length);
  secretPattern = new RegExp(forms.map((form) => form.replace(/\W/g, '\\$&')).join('|'), 'gi');
}

/** A secret unchanged, as `decode` returns it, in hex, and as it appears within the base64 of a longer text. */
function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const forms = [secret, decode(secret), bytes.toString('hex')];
  // Three bytes become four characters: the first and last characters depend on the text around the secret.
  for (const before of [0, 1, 2]) {
    const shifted = Buffer.concat([Buffer.alloc(before), bytes]);
    const first = Math.ceil((before * 8) / 6);
    const end = Math.floor((shifted.length * 8) / 6);
    for (const encoding of ['base64', 'base64url'] as const) {
      forms.push(shifted.toString(encoding).slice(first, end));
    }
  }
  return forms;
}

const longestText = 200;
/** Only so many characters are searched, so that the time is bounded. */
const searchedLength = 16 * 1_024;

/**
 * Replaces known secrets (`hideSecret`) and anything that looks like a query string, a bearer token, a Telnyx API key, or
 * an AWS key or signature, also if percent-encoded, escaped as in JSON or HTML, or mixed with invisible characters.
 * Truncates to 200 characters. Takes linear time.
 */
export function redact(value: string): string {
  // Stryker disable next-line MethodExpression: only saves time.
  const raw = value.slice(0, searchedLength);
  const decoded = decode(raw);
  const hidden = hide(decoded);
  // The decoded text is shown only if it contains a secret.
  const whole = hidden === decoded ? hide(raw) : hidden;
  // A secret that the slice has cut in two matches no pattern.
  const isCut = value.length > searchedLength;
  const text = isCut ? whole.slice(0, -2 * longestSecret) : whole;
  // Control characters, bidirectional controls, and the two code points that SQS does not accept in attributes.
  const shown = text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffe\uffff]/gu, ' ');
  // Truncation may split a surrogate pair, which SQS does not accept either.
  const isLong = isCut || shown.length > longestText;
  return (isLong ? `${shown.slice(0, longestText)}…` : shown).toWellFormed();
}

function hide(text: string): string {
  const known = text.replace(secretPattern, '[redacted]');
  return (
    known
      .replace(/\?[^\s"']*/g, '?[redacted]')
      .replace(/(bearer|basic)[\s+:]+[^\s"',]+/gi, '$1 [redacted]')
      .replace(/KEY[0-9A-Za-z_-]{8,}/g, '[redacted]')
      .replace(/(?:AKIA|ASIA)[0-9A-Z]{12,}/g, '[redacted]')
      // With any separator between name and value: `=`, JSON in JSON, a pair of name and value, tags.
      .replace(/(?:X-Amz-[\w-]+\W{0,64}(?:value\W{1,64})?)+[^\s"'&<>]*/gi, '[redacted]')
  );
}

/** Maximum number of nested encodings to undo. */
const decodingRounds = 8;
const entities = { amp: '&', quot: '"', apos: "'", lt: '<', gt: '>' };

/** Removes invisible characters, and undoes percent-encoding and the escapes of JSON, JavaScript and HTML. */
function decode(text: string): string {
  let decoded = text;
  // Stryker disable next-line EqualityOperator,AssignmentOperator: each round shortens the text, so the loop ends.
  for (let round = 0; round < decodingRounds; round += 1) {
    const before = decoded;
    decoded = before
      .replace(/[\p{Cf}\p{Mn}]/gu, '')
      .replace(/(?:%[0-9a-f]{2})+/gi, (bytes) =>
        Buffer.from(bytes.replaceAll('%', ''), 'hex').toString('utf8'),
      )
      .replace(
        /\\(?:u([0-9a-f]{4})|x([0-9a-f]{2})|(["'/\\]))/gi,
        (_, unit: string | undefined, byte: string, sign: string | undefined) =>
          sign ?? String.fromCharCode(Number.parseInt(unit ?? byte, 16)),
      )
      .replace(/&#x([0-9a-f]{1,4});|&#(\d{1,5});/gi, (_, hex?: string, decimal?: string) =>
        String.fromCharCode(hex === undefined ? Number(decimal) : Number.parseInt(hex, 16)),
      )
      .replace(
        /&(amp|quot|apos|lt|gt);/gi,
        (_, name: string) => entities[name.toLowerCase() as keyof typeof entities],
      );
    // Stryker disable next-line ConditionalExpression: only saves time.
    if (decoded === before) break;
  }
  return decoded;
}
