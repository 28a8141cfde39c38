/**
 * The last net in front of log lines and dead letters: takes secrets out of text that others may have written.
 * The net in front of it is that such text is not quoted at all.
 */

/** Longest secret that is looked for, in characters: what `api-key.ts` accepts. */
const longestSecret = 512;
/** Secrets that are remembered: the key in use, and those before it, which may still be accepted. */
const rememberedSecrets = 4;

const secrets: string[] = [];
let secretPattern: RegExp | undefined;

/**
 * Has `redact` replace exactly this secret from now on, in whatever usual encoding. For the process, since whoever
 * writes a log line cannot know which secrets the text of others may hold.
 */
export function hideSecret(secret: string): void {
  if (secret === '' || secrets.includes(secret)) return;
  secrets.unshift(secret);
  secrets.length = Math.min(secrets.length, rememberedSecrets);
  const forms = secrets.flatMap(formsOf).sort((a, b) => b.length - a.length);
  secretPattern = new RegExp(forms.map((form) => form.replace(/\W/g, '\\$&')).join('|'), 'gi');
}

/** A secret as it is, as `decode` leaves it, in hex, and as it shows within the base64 of a longer text. */
function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const forms = [secret, decode(secret), bytes.toString('hex')];
  // Three bytes make four characters: the first and last characters depend on what stands around the secret.
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
/** Characters that are looked at, so that the time does not grow with the text. */
const lookedAt = 16 * 1_024;

/**
 * Takes out known secrets (`hideSecret`) and whatever looks like a query string, a bearer token, a Telnyx API key, an
 * AWS key or signature, also where they are percent-encoded, escaped as in JSON or HTML, or interspersed with
 * invisible characters. Cuts to 200 characters. Takes linear time.
 */
export function redact(value: string): string {
  const raw = value.slice(0, lookedAt);
  const decoded = decode(raw);
  const hidden = hide(decoded);
  // The decoded text is shown only where it holds a secret.
  const whole = hidden === decoded ? hide(raw) : hidden;
  // A secret that the slice has cut in two is in no pattern.
  const isCut = value.length > lookedAt;
  const text = isCut ? whole.slice(0, -2 * longestSecret) : whole;
  // Control characters, bidirectional controls, and the two code points that SQS accepts in no attribute.
  const shown = text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffe\uffff]/gu, ' ');
  // The cut may split a surrogate pair, which SQS does not accept either.
  const isLong = isCut || shown.length > longestText;
  return (isLong ? `${shown.slice(0, longestText)}…` : shown).toWellFormed();
}

function hide(text: string): string {
  const known = secretPattern === undefined ? text : text.replace(secretPattern, '[redacted]');
  return (
    known
      .replace(/\?[^\s"']*/g, '?[redacted]')
      .replace(/(bearer|basic)[\s+:]+[^\s"',]+/gi, '$1 [redacted]')
      .replace(/KEY[0-9A-Za-z_-]{8,}/g, '[redacted]')
      .replace(/(?:AKIA|ASIA)[0-9A-Z]{12,}/g, '[redacted]')
      // Whatever stands between name and value: `=`, JSON in JSON, a pair of name and value, tags.
      .replace(/(?:X-Amz-[\w-]+\W{0,64}(?:value\W{1,64})?)+[^\s"'&<>]*/gi, '[redacted]')
  );
}

/** Encodings within encodings that are undone. */
const decodingRounds = 8;
const entities = { amp: '&', quot: '"', apos: "'", lt: '<', gt: '>' };

/** The text without invisible characters, percent-encoding, and the escapes of JSON, JavaScript and HTML. */
function decode(text: string): string {
  let decoded = text;
  for (let round = 0; round < decodingRounds; round += 1) {
    const before = decoded;
    decoded = before
      .replace(/[\p{Cf}\p{Mn}]+/gu, '')
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
    if (decoded === before) break;
  }
  return decoded;
}
