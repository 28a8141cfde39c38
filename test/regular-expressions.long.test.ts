/**
 * No text written by others may cost more time than its length allows. Every regular expression of the tree is found
 * in the source and tried with long hostile texts made of its own parts, so that a new one is tried as well; so is
 * every function that reads what others wrote.
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
import { readLine } from '../functions/bucket/manifest-text.ts';
import { nameOf } from '../functions/errors.ts';
import { defaultDownloadHosts } from '../functions/limits.ts';
import { parseDiscoveryMessage, parseDocumentMessage } from '../functions/queue/messages.ts';
import { redact } from '../functions/redact.ts';
import { systemTime } from '../functions/time.ts';
import { understand } from '../functions/webhook/events.ts';
import { cpuMsOf } from './cpu-time.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const rooms = ['functions', 'infra', 'cli', 'local', 'terminal'];

/** Milliseconds. Linear time takes a few, quadratic time a second or more for the longer texts. */
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

/** All regular expressions of a source file, and where one is computed. */
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

async function expressionsOfTheTree() {
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

/** Milliseconds, of the faster of two where the first is slow: the compiler may have been at work. */
function msOf(work: () => void): number {
  let fastest = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 2 && fastest > limitMs; round += 1) {
    fastest = Math.min(fastest, cpuMsOf(work));
  }
  return fastest;
}

const wordsIn = (source: string) => new Set(source.match(/[A-Za-z0-9"'=&;:/-]{2,}/g) ?? []);

/** Hostile texts for an expression, made of what it names and of a member of each usual class of characters. */
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
      // Most of them match up to here only.
      yield `${text}\u{1}`;
    }
  }
}

/** The shortest text that takes too long, or undefined. */
function slowTextFor(expression: RegExp): string | undefined {
  // Cubic time shows in the shortest, and most of quadratic time in the second: the last would take half a minute.
  for (const length of [16_000, 48_000, 128_000]) {
    for (const text of textsFor(expression, length)) {
      // Goes on after every match, as the callers do at most.
      const ms = msOf(() => text.replace(expression, ''));
      if (ms > limitMs) return `${JSON.stringify(text.slice(0, 40))}… of ${length}: ${Math.round(ms)} ms`;
    }
  }
  return undefined;
}

describe('a regular expression', () => {
  let tree: Awaited<ReturnType<typeof expressionsOfTheTree>>;
  beforeAll(async () => {
    tree = await expressionsOfTheTree();
  });

  it('is seen to be slow if it is', () => {
    expect(slowTextFor(/[\s.]+$/)).toBeDefined();
    expect(slowTextFor(/\bX-Amz-[\w-]+=/)).toBeDefined();
    expect(
      slowTextFor(/^(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*)\.s3\.(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*)\.com$/),
    ).toBeDefined();
  });

  it('stands in the source as it is, so that it can be found', () => {
    expect(tree.found.length).toBeGreaterThan(50);
    // Joins known secrets, which are plain text, with `|`: nothing in it repeats.
    expect(tree.computed.map((where) => where.replace(/:.*/, ''))).toEqual(['functions/redact.ts']);
  });

  it('takes time in proportion to the text, whatever that is', { timeout: 120_000 }, () => {
    const slow = tree.found.flatMap(({ where, expression }) => {
      const text = slowTextFor(expression);
      return text === undefined ? [] : [`${where} is slow for ${text}`];
    });

    expect(slow).toEqual([]);
  });
});

const policy = { hosts: defaultDownloadHosts, trustedOrigin: undefined };
const download = createDownload({
  policy,
  httpGet: () => Promise.reject(new Error('Nothing is sent.')),
  time: systemTime,
});
/** What reads others' words, by itself or within a text that gets it past the first check. */
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
  ['an event', (text) => understand({ data: { event_type: text, id: text, payload: { id: text } } }, text)],
  ['a receipt', (text) => readReceipt('550e8400-e29b-41d4-a716-446655440000', Buffer.from(text))],
  ['a line of a manifest', readLine],
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
  // Canonical ordering moves every second one of these before all that came earlier.
  const accents = ['\u0301\u0316', '\u{1F600}', '\uD800', '\u202e'];

  it.each(readers)('costs %s no more time than its length allows', (_what, read) => {
    for (const length of [64_000, 1_000_000]) {
      for (const unit of [...units, ...accents]) {
        const text = unit.repeat(length / unit.length);
        for (const hostile of [text, `${text}!`, `a${text}!`]) {
          const ms = msOf(() => {
            try {
              read(hostile);
            } catch {
              // Refused is as good as read: only the time counts.
            }
          });
          if (ms > limitMs)
            expect.unreachable(`${JSON.stringify(hostile.slice(0, 20))} took ${Math.round(ms)} ms`);
        }
      }
    }
  });
});
