import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { systemTime as time } from '../../functions/time.ts';
import { createTerminal } from '../../terminal/terminal.ts';

function listen() {
  const stream = new PassThrough();
  const stdout = stream as unknown as NodeJS.WriteStream;
  const stdin = new PassThrough() as unknown as NodeJS.ReadStream;
  const terminal = createTerminal({ json: true, time, stdin, stdout, stderr: stdout });
  return { terminal, written: () => String(stream.read() ?? '') };
}

it('A JSON record carries no character that a terminal obeys, and reads back as the same text', () => {
  const { terminal, written } = listen();
  const wild = ['\u001b[2J', '\u009b31m', '\u202etxt', '\u2028', '\u{e0001}', '\u007f', 'größe 📄'];

  terminal.record({ wild });

  const line = written();
  expect(JSON.parse(line)).toEqual({ wild });
  expect(line.trimEnd()).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  expect(line).toContain('größe 📄');
});

it('Any text in a JSON record reads back unchanged', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const { terminal, written } = listen();

      terminal.record({ text });

      const line = written();
      expect(JSON.parse(line)).toEqual({ text });
      expect(line.trimEnd()).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
    }),
  );
});
