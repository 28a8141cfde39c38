/**
 * No input may take more than linear time. The test finds every regular expression in the source, so that new ones are
 * covered automatically, and tries it with long hostile texts made of its own parts. It also tries every function that
 * reads input written by others.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseAst } from 'vitest/node';
import { safeFileName } from '../cli/export/paths.ts';
import { allowedUrl, createDownload } from '../functions/archive/download.ts';
import { isHostPattern, matchesHost } from '../functions/archive/download-hosts.ts';
import { readReceipt } from '../functions/audit/receipt-reading.ts';
import { contentDisposition, contentType } from '../functions/bucket/content-disposition.ts';
import { parseLine } from '../functions/bucket/manifest-text.ts';
import { nameOf } from '../functions/errors.ts';
import { defaultDownloadHosts } from '../functions/limits.ts';
import { parseDiscoveryMessage, parseDocumentMessage } from '../functions/queue/messages.ts';
import { redact } from '../functions/redact.ts';
import { systemTime } from '../functions/time.ts';
import { parseEvent } from '../functions/webhook/events.ts';
import { cpuMsOf } from './cpu-time.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const rooms = ['functions', 'infra', 'cli', 'local', 'terminal'];

/** Milliseconds. Linear code takes a few, quadratic code a second or more for the longer texts. */
const limitMs = 300;

interface Found {
  where: string;
  expression: RegExp;
}

interface Node {
  type: string;
  start: number;
  [property: string]: unknown;
}

/** All regular expressions of a source file, and the places where one is constructed at run time. */
function expressionsIn(path: string, text: string): { found: Found[]; computed: string[] } {
  const found: Found[] = [];
  const computed: string[] = [];
  const lineOf = (node: Node) => `${path}:${text.slice(0, node.start).split('\n').length}`;
  const walk = (value: unknown): void => {
    if (Array.isArray(value)) {
      value.forEach(walk);
      return;
    }
    if (typeof value !== 'object' || value === null || value instanceof RegExp) return;
    const node = value as Node;
    if (node.type === 'Literal' && 'regex' in node) {
      const { pattern, flags } = node.regex as { pattern: string; flags: string };
      found.push({ where: `${lineOf(node)} /${pattern}/${flags}`, expression: new RegExp(pattern, flags) });
    }
    const callee = node.callee as { name?: string } | undefined;
    if (callee?.name === 'RegExp') computed.push(lineOf(node));
    Object.values(node).forEach(walk);
  };
  walk(parseAst(text, { lang: 'ts' }));
  return { found, computed };
}

async function expressionsOfAllFiles() {
  const all: { found: Found[]; computed: string[] } = { found: [], computed: [] };
  for (const room of rooms) {
    const names = await readdir(join(root, room), { recursive: true }).catch(() => []);
    for (const name of names.filter((file) => file.endsWith('.ts')).sort()) {
      const path = join(room, name);
      const { found, computed } = expressionsIn(path, await readFile(join(root, path), 'utf8'));
      all.found.push(...found);
      all.computed.push(...computed);
    }
  }
  return all;
}

/** Milliseconds. A slow first run is repeated, since the JIT compiler may have been busy; the faster one counts. */
function msOf(work: () => void): number {
  let fastest = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 2 && fastest > limitMs; round += 1) {
    fastest = Math.min(fastest, cpuMsOf(work));
  }
  return fastest;
}

const wordsIn = (source: string) => new Set(source.match(/[A-Za-z0-9"'=&;:/-]{2,}/g) ?? []);

/** Hostile texts for an expression, made of its own literals and of one character of each usual class. */
function* textsFor({ source }: RegExp, length: number): Generator<string> {
  const plain = source.replace(/\\./g, ' ');
  const words = wordsIn(plain);
  const signs = new Set([...(plain.match(/[-"'=&;:/.,?<>@#%~ _]/g) ?? []), ...'a0 \t.-_']);
  const pairs = [...signs].flatMap((a) => [...signs].map((b) => a + b));
  const pumps = new Set([
    ...signs,
    ...words,
    ...[...words].flatMap((word) => [`${word} `, `.${word}`]),
    ...pairs,
  ]);
  for (const before of ['', 'a', '0', ...words]) {
    for (const pump of pumps) {
      const text = before + pump.repeat(length / pump.length);
      yield text;
      // Most expressions match up to here only.
      yield `${text}\u{1}`;
    }
  }
}

/** The shortest text that takes too long; undefined if there is none. */
function slowTextFor(expression: RegExp): string | undefined {
  // The shortest text reveals cubic time, the second most cases of quadratic time, where the longest takes half a minute.
  for (const length of [16_000, 48_000, 128_000]) {
    for (const text of textsFor(expression, length)) {
      // Continues after every match, which is the most that callers do.
      const ms = msOf(() => text.replace(expression, ''));
      if (ms > limitMs) return `${JSON.stringify(text.slice(0, 40))}… of ${length}: ${Math.round(ms)} ms`;
    }
  }
  return undefined;
}

describe('a regular expression', () => {
  let all: Awaited<ReturnType<typeof expressionsOfAllFiles>>;
  beforeAll(async () => {
    all = await expressionsOfAllFiles();
  });

  it('is reported if it is slow', () => {
    expect(slowTextFor(/[\s.]+$/)).toBeDefined();
    expect(slowTextFor(/\bX-Amz-[\w-]+=/)).toBeDefined();
    expect(
      slowTextFor(/^(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*)\.s3\.(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*)\.com$/),
    ).toBeDefined();
  });

  it('is a literal, so that this test finds it', () => {
    expect(all.found.length).toBeGreaterThan(50);
    // `redact.ts` joins known secrets, which are plain text, with `|`: the expression has no repetition.
    // `scan.ts` looks for the traces of words: their characters, and between digits what is no digit, which ends at the next.
    const files = new Set(all.computed.map((where) => where.replace(/:.*/, '')));
    expect([...files].sort()).toEqual(['cli/find/scan.ts', 'functions/redact.ts']);
  });

  it('takes linear time for any text', { timeout: 120_000 }, () => {
    const slow = all.found.flatMap(({ where, expression }) => {
      const text = slowTextFor(expression);
      return text === undefined ? [] : [`${where} is slow for ${text}`];
    });

    expect(slow).toEqual([]);
  });
});

const policy = { hosts: defaultDownloadHosts, trustedOrigin: undefined };
const download = createDownload({
  policy,
  httpGet: () => Promise.reject(new Error('The test sends no request.')),
  time: systemTime,
});
/** Functions that read input written by others, with the text itself or embedded so that it passes the first check. */
const readers: [string, (text: string) => unknown][] = [
  ['the check of a link', (text) => allowedUrl(text, policy)],
  ['the check of a link with a long host', (text) => allowedUrl(`https://${text}/`, policy)],
  ['the check of a link with a long path', (text) => allowedUrl(`https://s3.amazonaws.com/${text}`, policy)],
  [
    'a download',
    (text) => download(`https://s3.amazonaws.com/${text}`, AbortSignal.timeout(1)).catch(() => 0),
  ],
  ['the match of a host', (text) => defaultDownloadHosts.some((pattern) => matchesHost(text, pattern))],
  ['the check of a host pattern', isHostPattern],
  ['the name of an exported file', (text) => safeFileName(text, 'otherwise')],
  ['the name in Content-Disposition', contentDisposition],
  ['the content type', contentType],
  ['the content type with a parameter', (text) => contentType(`text/plain${text}`)],
  ['the redaction of a log line', redact],
  ['the name of an error', (text) => nameOf(Object.assign(new Error('x'), { name: text, code: text }))],
  ['a message about a document', (text) => parseDocumentMessage(text, new Date(0))],
  ['a message about many documents', parseDiscoveryMessage],
  ['an event', (text) => parseEvent({ data: { event_type: text, id: text, payload: { id: text } } }, text)],
  ['a receipt', (text) => readReceipt('550e8400-e29b-41d4-a716-446655440000', Buffer.from(text))],
  ['a line of a manifest', parseLine],
];

describe('a text of a megabyte', () => {
  const units = [
    'a',
    '0',
    ' ',
    '.',
    ' .',
    'a.s3.',
    '-',
    '%',
    '/',
    '\\',
    '"',
    '[',
    '{"a":',
    '\n',
    '?',
    'X-Amz-',
  ];
  // Unicode normalisation moves every second character of the first pair before all earlier ones.
  const accents = ['\u0301\u0316', '\u{1F600}', '\uD800', '\u202e'];

  it.each(readers)('is read in linear time by %s', (_what, read) => {
    for (const length of [64_000, 1_000_000]) {
      for (const unit of [...units, ...accents]) {
        const text = unit.repeat(length / unit.length);
        for (const hostile of [text, `${text}!`, `a${text}!`]) {
          const ms = msOf(() => {
            try {
              read(hostile);
            } catch {
              // Only the time counts, not whether the text is refused.
            }
          });
          if (ms > limitMs)
            expect.unreachable(`${JSON.stringify(hostile.slice(0, 20))} took ${Math.round(ms)} ms`);
        }
      }
    }
  });
});
