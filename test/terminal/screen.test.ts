import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { styled } from '../../terminal/styled.ts';
import { formatTable } from '../../terminal/tables.ts';
import { fitMessage } from '../../terminal/wrap.ts';
import { VirtualClock } from '../fakes/clock.ts';
import { propertyRuns } from '../fuzz-runs.ts';
import { createEmulator } from './emulator.ts';

const findings = Array.from(
  { length: 6 },
  (_, n) =>
    `- documents/5a3b1e00-0000-4000-8000-00000000000${n}  missing: at Telnyx for 40 min, never archived`,
);

describe('a progress bar on a terminal of 80 columns', () => {
  it('leaves every line whole that is printed while it is shown, on either output', async () => {
    const time = new VirtualClock(0);
    const { terminal, lines } = createEmulator({ time });
    let ended = 0;

    const progress = terminal.progress(() => ({ ended, total: 6, text: `${ended} of 6 documents checked` }));
    for (const finding of findings) {
      await time.run(time.now() + 250, () => false);
      ended += 1;
      if (ended % 2 === 0) terminal.print(finding);
      else terminal.note(finding);
    }
    progress.stop();
    terminal.print('6 problems found.');

    expect(await lines()).toEqual([
      ...findings,
      '████████████████ 6 of 6 documents checked',
      '6 problems found.',
    ]);
  });

  it('takes one line, whatever the length of its text', async () => {
    const time = new VirtualClock(0);
    const { terminal, lines } = createEmulator({ time });

    const progress = terminal.progress(() => ({ ended: 1, total: 2, text: 'checked · '.repeat(20) }));
    await time.run(1_000, () => false);
    terminal.print('first');
    await time.run(2_000, () => false);
    progress.stop();

    expect(await lines()).toEqual(['first', 'checked · '.repeat(20).slice(0, 79).trimEnd()]);
  });

  it('is shorter, or left out, where its text and the time left need the room', async () => {
    const time = new VirtualClock(0);
    const [wide, narrow, full] = [80, 62, 50].map((columns) => createEmulator({ columns, time }));

    for (const emulator of [wide, narrow, full]) {
      let ended = 0;
      const text = () => `${ended} of 1,500 documents · 0 failed`;
      emulator?.terminal.progress(() => ({ ended, total: 1_500, text: text() }));
      ended = 500;
    }
    await time.run(time.now() + 60_000, () => false);

    const shown = 'about 2 min left · 500 of 1,500 documents · 0 failed';
    expect(await wide?.lines()).toEqual([`${'█'.repeat(5)}${'░'.repeat(11)} ${shown}`]);
    expect(await narrow?.lines()).toEqual([`███░░░░░ ${shown}`]);
    expect(await full?.lines()).toEqual([shown.slice(0, 49)]);
  });

  it('shows only its newest state, and the line after it starts in the first column', async () => {
    const time = new VirtualClock(0);
    const { terminal, lines } = createEmulator({ time });
    let text = 'a long text that is replaced';

    const progress = terminal.progress(() => ({ ended: 0, total: undefined, text }));
    await time.run(500, () => false);
    text = 'short';
    await time.run(1_000, () => false);
    const shown = await lines();
    progress.stop();
    progress.stop();
    terminal.note('end');

    expect(shown).toEqual(['short']);
    expect(await lines()).toEqual(['short', 'end']);
  });
});

/** Any UTF-16 text, often with what controls a terminal. */
const anyText = fc.string({
  unit: fc.oneof(
    fc.constantFrom(...'\u001b\u0007\u009b\u009d\n\r\t\u202e\u2066\u2028[];m'),
    fc.integer({ min: 0, max: 0x10ffff }).map((point) => String.fromCodePoint(point)),
  ),
});

describe('text of others on a terminal', () => {
  const hostile = 'a\u001b]0;owned\u0007\u001b[2J\nAll is well.\r\u202etxt.exe\u009b31m';
  const shown = 'a\\u{1b}]0;owned\\u{7}\\u{1b}[2J\\u{a}All is well.\\u{d}\\u{202e}txt.exe\\u{9b}31m';

  it('is shown escaped, neither sets the title nor starts a line, in plain and in styled text', async () => {
    const { terminal, lines, title } = createEmulator({ columns: 200 });

    terminal.print(hostile, `key ${hostile}`);
    terminal.note(hostile);
    terminal.print(terminal.paint('red', hostile));

    expect(await lines()).toEqual([shown, `key ${shown}`, shown, shown]);
    expect(title()).toBeUndefined();
  });

  it('is shown escaped as the text of a progress bar', async () => {
    const { terminal, lines, title } = createEmulator({ columns: 200 });

    terminal.progress(() => ({ ended: 0, total: undefined, text: hostile })).stop();

    expect(await lines()).toEqual([shown]);
    expect(title()).toBeUndefined();
  });

  it('takes exactly one line and adds no control sequence, whatever it is', () => {
    const { terminal, takeBytes } = createEmulator();
    const show = (name: string, reason: string) => {
      terminal.print(name, styled`${terminal.paint('red', reason)}: ${name}`);
      terminal.print(
        formatTable([{ head: 'name', align: 'left' }], [[name], [terminal.paint('dim', reason)]]),
      );
      return takeBytes();
    };
    const controls = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
    const own = show('', '').match(controls);
    fc.assert(
      fc.property(anyText, anyText, (name, reason) => {
        expect(show(name, reason).match(controls)).toEqual(own);
      }),
      { numRuns: propertyRuns(1_000) },
    );
  });
});

describe('a line that is longer than the terminal is wide', () => {
  const sentence =
    'No local stack is running on the archive. Start one with `npm start -- --archive /srv/archive/of/documents`, and run the command again.';

  it('breaks between words, and not within a command', async () => {
    const { terminal, lines } = createEmulator();

    terminal.print(sentence);
    terminal.note(sentence);

    const shown = [
      'No local stack is running on the archive. Start one with',
      '`npm start -- --archive /srv/archive/of/documents`, and run the command again.',
    ];
    expect(await lines()).toEqual([...shown, ...shown]);
  });

  it.each([
    [
      'is indented',
      `      aws s3api delete-object --bucket archive --key ${'documents '.repeat(6)}`.trimEnd(),
    ],
    [
      'has columns',
      `documents/5a3b1e00-0000-4000-8000-000000000001  missing: ${'at Telnyx '.repeat(6)}`.trimEnd(),
    ],
  ])('stays one line if it %s', (_what, line) => {
    const { terminal, takeBytes } = createEmulator();

    terminal.print(line);

    expect(takeBytes()).toBe(`${line}\n`);
  });

  it('stays one line where the output is not a terminal', () => {
    const stream = new PassThrough() as unknown as NodeJS.WriteStream;

    expect(fitMessage(sentence, stream)).toBe(sentence);
  });

  it('is escaped and wrapped as a line of a message, of which each line stays', () => {
    const { stream } = createEmulator({ columns: 30 });

    expect(fitMessage('error: \u001b[2J is not a valid document ID\n(use --help for usage)\n', stream)).toBe(
      'error: \\u{1b}[2J is not a\nvalid document ID\n(use --help for usage)\n',
    );
  });
});
