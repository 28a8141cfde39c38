import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { askForLine, askToConfirm } from '../../terminal/prompts.ts';

type Prompt<Answer> = (...parameters: Parameters<typeof askToConfirm>) => Promise<Answer>;

function ask<Answer = boolean>(
  signal = new AbortController().signal,
  prompt: Prompt<Answer> = askToConfirm as never,
) {
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => undefined });
  const stderr = Object.assign(new PassThrough(), { isTTY: true, columns: 80 });
  const streams = { stdin, stderr } as unknown as Parameters<typeof askToConfirm>[1];
  return {
    type: (text: string) => stdin.write(text),
    end: () => stdin.end(),
    answer: prompt('Send?', streams, signal),
  };
}

describe('a question on a terminal', () => {
  it.each([
    ['y\r', true],
    ['YES\r', true],
    ['\r', false],
    ['no\r', false],
    ['yesterday\r', false],
  ])('with the answer %j is %s', async (typed, agreed) => {
    const { type, answer } = ask();

    type(typed);

    expect(await answer).toBe(agreed);
  });

  it('returns the line that was typed, without surrounding spaces', async () => {
    const { type, answer } = ask(undefined, askForLine);

    type(' 1200 \r');

    expect(await answer).toBe('1200');
  });

  it('fails when the input has been read to its end before', async () => {
    const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => undefined });
    const streams = { stdin, stderr: new PassThrough() } as unknown as Parameters<typeof askToConfirm>[1];
    stdin.end('some IDs');
    await text(stdin);

    const answer = askToConfirm('Send?', streams, new AbortController().signal);

    await expect(answer).rejects.toThrow('Standard input has ended');
  });

  it('fails with InterruptedError when Ctrl-C is pressed', async () => {
    const { type, answer } = ask();

    type('\u0003');

    await expect(answer).rejects.toMatchObject({ name: 'InterruptedError' });
  });

  it('is answered with no when Ctrl-D is pressed, or the input ends', async () => {
    const [pressed, ended] = [ask(), ask()];

    pressed.type('\u0004');
    ended.end();

    expect(await pressed.answer).toBe(false);
    expect(await ended.answer).toBe(false);
  });

  it('fails with the reason of the signal when it is aborted', async () => {
    const end = new AbortController();
    const { answer } = ask(end.signal);

    end.abort(new Error('stopped'));

    await expect(answer).rejects.toThrow('stopped');
  });
});
