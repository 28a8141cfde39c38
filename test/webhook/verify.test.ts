import { execFileSync } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readPublicKeys, type SignedRequest, verify } from '../../functions/webhook/verify.ts';
import { fuzzRuns } from '../fuzz-runs.ts';

const now = 1_795_478_400_000;
const timestamp = String(now / 1_000);
const body = readFileSync(new URL('../../events/number-order-complete.json', import.meta.url));

function keyPair() {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');
  return { privateKey, text: raw.toString('base64'), key: readPublicKeys([raw.toString('base64')]) };
}

function signed(rawBody: Buffer, privateKey: KeyObject, at = timestamp): SignedRequest {
  const bytes = Buffer.concat([Buffer.from(`${at}|`), rawBody]);
  return { rawBody, timestamp: at, signature: sign(null, bytes, privateKey).toString('base64') };
}

const ours = keyPair();
const genuine = signed(body, ours.privateKey);
const isAccepted = (request: SignedRequest, keys = ours.key, at = now) => verify(request, keys, at).genuine;

describe('a genuine event', () => {
  it('is accepted, and its payload is the signed one', () => {
    expect(verify(genuine, ours.key, now)).toEqual({
      genuine: true,
      payload: JSON.parse(body.toString('utf8')),
    });
  });

  it.each([-300, -1, 0, 1, 300])('is accepted %i seconds from its timestamp', (seconds) => {
    expect(isAccepted(genuine, ours.key, now + seconds * 1_000)).toBe(true);
  });

  it('is accepted with either key during a rotation, and not with the new key alone', () => {
    const next = keyPair();
    const both = readPublicKeys([ours.text, next.text]);

    expect(isAccepted(genuine, both)).toBe(true);
    expect(isAccepted(signed(body, next.privateKey), both)).toBe(true);
    expect(isAccepted(genuine, next.key)).toBe(false);
  });

  it('is not accepted if no key is configured', () => {
    expect(isAccepted(genuine, [])).toBe(false);
  });

  it('is unreadable if it is not UTF-8, starts with a byte order mark or is not JSON', () => {
    const bodies = [
      // This would be JSON if the invalid byte were replaced.
      Buffer.from('{"a":"\xff"}', 'latin1'),
      Buffer.from('\ufeff{}'),
      Buffer.from('{'),
      Buffer.alloc(0),
    ];
    for (const rawBody of bodies) {
      expect(verify(signed(rawBody, ours.privateKey), ours.key, now)).toEqual({
        genuine: true,
        unreadable: true,
      });
    }
  });

  it('is accepted at any nesting depth', () => {
    const deep = Buffer.from('['.repeat(200_000) + ']'.repeat(200_000));

    expect(isAccepted(signed(deep, ours.privateKey))).toBe(true);
  });
});

describe('a request that is not genuine', () => {
  it.each<[string, Partial<SignedRequest>, string]>([
    ['no signature', { signature: undefined }, 'signature-missing'],
    ['no timestamp', { timestamp: undefined }, 'signature-missing'],
    ['an empty signature', { signature: '' }, 'signature-malformed'],
    [
      'a doubled signature',
      { signature: `${genuine.signature},${genuine.signature}` },
      'signature-malformed',
    ],
    ['a signature with blanks', { signature: ` ${genuine.signature}` }, 'signature-malformed'],
    [
      'a signature without padding',
      { signature: genuine.signature?.replace(/=/g, '') },
      'signature-malformed',
    ],
    ['a signature in hex', { signature: 'ab'.repeat(64) }, 'signature-malformed'],
    ['a timestamp in milliseconds', { timestamp: String(now) }, 'timestamp-malformed'],
    ['a timestamp that is not a number', { timestamp: 'NaN' }, 'timestamp-malformed'],
    ['a timestamp with an exponent', { timestamp: '1795478e03' }, 'timestamp-malformed'],
    ['a timestamp with a sign', { timestamp: '+795478400' }, 'timestamp-malformed'],
    ['a timestamp in other digits', { timestamp: '١٧٩٥٤٧٨٤٠٠' }, 'timestamp-malformed'],
    ['a timestamp with a line break', { timestamp: `${timestamp}\n` }, 'timestamp-malformed'],
    ['another timestamp', { timestamp: String(now / 1_000 + 1) }, 'signature-wrong'],
    [
      'a body with other white space',
      { rawBody: Buffer.from(JSON.stringify(JSON.parse(body.toString()), null, 1)) },
      'signature-wrong',
    ],
  ])('is refused with %s', (_what, change, reason) => {
    expect(verify({ ...genuine, ...change }, ours.key, now)).toEqual({ genuine: false, reason });
  });

  it('is refused if the group order was added to the scalar of its signature', () => {
    const groupOrder = 2n ** 252n + 27_742_317_777_372_353_535_851_937_790_883_648_493n;
    const bytes = Buffer.from(genuine.signature ?? '', 'base64');
    const scalar = BigInt(`0x${Buffer.from(bytes.subarray(32)).reverse().toString('hex')}`);
    const twin = Buffer.concat([bytes.subarray(0, 32), littleEndian(scalar + groupOrder)]);

    expect(isAccepted({ ...genuine, signature: twin.toString('base64') })).toBe(false);
  });

  it.each([-301, 301, 3_600, -86_400])('is refused %i seconds from its timestamp', (seconds) => {
    expect(verify(genuine, ours.key, now + seconds * 1_000)).toEqual({
      genuine: false,
      reason: 'timestamp-outside-window',
    });
  });

  it('is refused in each of 100,000 mutations of signature, timestamp, body and key', () => {
    // A small body, since hashing a large one would only take longer.
    const small = signed(Buffer.from('{"data":{"event_type":"number_order.complete"}}'), ours.privateKey);
    const signature = Buffer.from(small.signature ?? '', 'base64');
    const publicKey = Buffer.from(ours.text, 'base64');
    const flip = (bytes: Buffer, bit: number) => {
      const flipped = Buffer.from(bytes);
      const at = Math.floor(bit / 8) % flipped.length;
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (bit % 8));
      return flipped;
    };
    const mutations = fc.oneof(
      fc.nat(511).map((bit) => ({ ...small, signature: flip(signature, bit).toString('base64') })),
      fc.nat(8 * small.rawBody.length - 1).map((bit) => ({ ...small, rawBody: flip(small.rawBody, bit) })),
      fc
        .uint8Array({ minLength: 1, maxLength: 9 })
        .map((tail) => ({ ...small, rawBody: Buffer.concat([small.rawBody, tail]) })),
      fc
        .nat(small.rawBody.length - 1)
        .map((length) => ({ ...small, rawBody: small.rawBody.subarray(0, length) })),
      fc
        .integer({ min: -300, max: 300 })
        .filter((off) => off !== 0)
        .map((off) => ({ ...small, timestamp: String(now / 1_000 + off) })),
      fc
        .uint8Array({ minLength: 64, maxLength: 64 })
        .map((bytes) => ({ ...small, signature: Buffer.from(bytes).toString('base64') })),
      fc.string().map((text) => ({ ...small, signature: text })),
      fc.string().map((text) => ({ ...small, timestamp: text })),
      fc.nat(255).map((bit) => ({ ...small, key: flip(publicKey, bit) })),
    );
    let accepted = 0;

    fc.assert(
      fc.property(mutations, (mutation) => {
        const keys = 'key' in mutation ? usable(mutation.key) : ours.key;
        if (isAccepted(mutation, keys)) accepted += 1;
      }),
      { numRuns: fuzzRuns(100_000) },
    );

    expect(accepted).toBe(0);
    expect(isAccepted(small)).toBe(true);
  });
});

/** The key, or none if it is a low-order point. */
function usable(key: Buffer): KeyObject[] {
  try {
    return readPublicKeys([key.toString('base64')]);
  } catch {
    return [];
  }
}

describe('a public key', () => {
  it.each([
    ['empty', ''],
    ['in hex', 'ab'.repeat(32)],
    ['too short', Buffer.alloc(31, 7).toString('base64')],
    ['too long', Buffer.alloc(33, 7).toString('base64')],
    ['without padding', Buffer.alloc(32, 7).toString('base64').replace('=', '')],
    ['in base64url', Buffer.alloc(32, 0xfb).toString('base64url')],
    ['in PEM', '-----BEGIN PUBLIC KEY-----'],
    ['followed by a line break', `${ours.text}\n`],
  ])('is refused if it is %s, and the error names the expected format', (_what, key) => {
    expect(() => readPublicKeys([key])).toThrow('base64 of 32 bytes');
  });

  it('is refused if it is a low-order point in any encoding, and otherwise accepted', () => {
    const p = 2n ** 255n - 19n;
    const points = smallOrderPoints(p);
    expect(points).toHaveLength(8);
    const encodings = new Set<string>();
    for (const { y } of points) {
      // Also unreduced, if that fits into 255 bits, and with both sign bits.
      for (const value of [y, y + p].filter((candidate) => candidate < 2n ** 255n)) {
        for (const sign of [0n, 1n]) encodings.add(littleEndian(value + (sign << 255n)).toString('base64'));
      }
    }

    for (const key of encodings) expect(() => readPublicKeys([key]), key).toThrow('low-order');

    expect(encodings.size).toBe(14);
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
        const key = Buffer.from(bytes).toString('base64');
        if (!encodings.has(key)) expect(readPublicKeys([key])).toHaveLength(1);
      }),
    );
  });
});

/** The points P of edwards25519 with 8P = 0. Computed here, to check the constants in the code. */
function smallOrderPoints(p: bigint): { x: bigint; y: bigint }[] {
  const mod = (value: bigint) => ((value % p) + p) % p;
  const power = (base: bigint, exponent: bigint): bigint => {
    let result = 1n;
    for (let square = mod(base), rest = exponent; rest > 0n; rest >>= 1n, square = mod(square * square)) {
      if (rest & 1n) result = mod(result * square);
    }
    return result;
  };
  const inverse = (value: bigint) => power(value, p - 2n);
  const d = mod(-121_665n * inverse(121_666n));
  type Point = { x: bigint; y: bigint };
  const add = (a: Point, b: Point): Point => {
    const t = mod(d * a.x * b.x * a.y * b.y);
    return {
      x: mod((a.x * b.y + b.x * a.y) * inverse(1n + t)),
      y: mod((a.y * b.y + a.x * b.x) * inverse(1n - t)),
    };
  };
  const times = (scalar: bigint, point: Point): Point => {
    let result: Point = { x: 0n, y: 1n };
    for (let addend = point, rest = scalar; rest > 0n; rest >>= 1n, addend = add(addend, addend)) {
      if (rest & 1n) result = add(result, addend);
    }
    return result;
  };
  const order = 2n ** 252n + 27_742_317_777_372_353_535_851_937_790_883_648_493n;
  const root = (value: bigint): bigint | undefined => {
    const candidate = power(value, (p + 3n) / 8n);
    for (const root of [candidate, mod(candidate * power(2n, (p - 1n) / 4n))]) {
      if (mod(root * root) === mod(value)) return root;
    }
    return undefined;
  };
  // Any point times the large prime order is a low-order point, and for some point it generates all eight.
  for (let y = 2n; ; y += 1n) {
    const x = root((y * y - 1n) * inverse(mod(d * y * y + 1n)));
    if (x === undefined) continue;
    const generator = times(order, { x, y });
    const points = Array.from({ length: 8 }, (_, k) => times(BigInt(k), generator));
    if (new Set(points.map((point) => `${point.x} ${point.y}`)).size === 8) return points;
  }
}

function littleEndian(value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(64, '0'), 'hex').reverse();
}

describe('a signature', () => {
  it('is accepted if it was made with the key of RFC 8032, section 7.1, test 1', () => {
    const seed = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex');
    const publicKey = Buffer.from('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', 'hex');
    const privateKey = createPrivateKey({
      key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]),
      format: 'der',
      type: 'pkcs8',
    });
    const vector = sign(null, Buffer.alloc(0), privateKey).toString('hex');
    expect(vector).toBe(
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    );

    expect(isAccepted(signed(body, privateKey), readPublicKeys([publicKey.toString('base64')]))).toBe(true);
  });

  it('is accepted if it was made by the openssl command', () => {
    const directory = mkdtempSync(join(tmpdir(), 'openssl-'));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    const file = (name: string) => join(directory, name);
    writeFileSync(file('message'), Buffer.concat([Buffer.from(`${timestamp}|`), body]));
    const openssl = (...options: string[]) => execFileSync('openssl', options, { stdio: 'pipe' });
    openssl('genpkey', '-algorithm', 'ed25519', '-out', file('key.pem'));
    const spki = openssl('pkey', '-in', file('key.pem'), '-pubout', '-outform', 'DER');

    const signature = openssl(
      'pkeyutl',
      '-sign',
      '-inkey',
      file('key.pem'),
      '-rawin',
      '-in',
      file('message'),
    );

    const keys = readPublicKeys([spki.subarray(-32).toString('base64')]);
    expect(isAccepted({ rawBody: body, timestamp, signature: signature.toString('base64') }, keys)).toBe(
      true,
    );
  });

  it('is accepted if it was made by OpenSSL and stored here, for machines without OpenSSL', () => {
    const fixture = JSON.parse(readFileSync(new URL('./openssl-signature.json', import.meta.url), 'utf8'));

    expect(
      isAccepted(
        { ...fixture, rawBody: Buffer.from(fixture.body) },
        readPublicKeys([fixture.publicKey]),
        Number(fixture.timestamp) * 1_000,
      ),
    ).toBe(true);
  });
});
