import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { systemTime as time } from '../../functions/time.ts';
import { createTerminal } from '../../terminal/terminal.ts';

function createTestTerminal() {
  const stream = new PassThrough();
  const stdout = stream as unknown as NodeJS.WriteStream;
  const stdin = new PassThrough() as unknown as NodeJS.ReadStream;
  const terminal = createTerminal({ json: true, time, stdin, stdout, stderr: stdout });
  return { terminal, written: () => String(stream.read() ?? '') };
}

it('record escapes control characters, and the JSON parses to the same text', () => {
  const { terminal, written } = createTestTerminal();
  const texts = ['\u001b[2J', '\u009b31m', '\u202etxt', '\u2028', '\u{e0001}', '\u007f', 'größe 📄'];

  terminal.record({ texts });

  const line = written();
  expect(JSON.parse(line)).toEqual({ texts });
  expect(line.trimEnd()).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  expect(line).toContain('größe 📄');
});

it('record writes JSON that parses to the same text, for any text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const { terminal, written } = createTestTerminal();

      terminal.record({ text });

      const line = written();
      expect(JSON.parse(line)).toEqual({ text });
      expect(line.trimEnd()).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    }),
  );
});
