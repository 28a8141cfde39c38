import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { systemTime } from '../../functions/time.ts';
import { type StackOptions, startStack } from '../../local/stack.ts';
import { newFolder } from '../cli/world.ts';
import { quickTimings } from '../quick-timings.ts';

/** Options of a stack whose documents are in the folder for temporary files, where the stand-in keeps its own. */
async function stackOfTemporaryFiles(): Promise<{ temporary: string; options: StackOptions }> {
  const archive = await newFolder();
  const temporary = await mkdtemp(join(tmpdir(), 'services-test-'));
  onTestFinished(() => rm(temporary, { recursive: true, force: true }));
  vi.stubEnv('TMPDIR', temporary);
  onTestFinished(() => void vi.unstubAllEnvs());
  await writeFile(join(temporary, 'a.txt'), 'a');
  const options = {
    archive,
    documents: temporary,
    events: false,
    timings: quickTimings,
    onLog: () => undefined,
    onProblem: () => undefined,
    version: 'test',
    time: systemTime,
    random: Math.random,
  };
  return { temporary, options };
}

it('do not take the files of the stand-in for documents', async () => {
  const { options } = await stackOfTemporaryFiles();
  const stack = await startStack(options);
  onTestFinished(() => stack.stop());

  const call = (method: 'GET' | 'POST', body?: string) =>
    fetch(`${stack.addresses.telnyxUrl}/documents`, {
      method,
      headers: { authorization: `Bearer ${stack.standInKey}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body }),
    });

  await call('POST', JSON.stringify({ file: Buffer.from('b').toString('base64'), filename: 'uploaded.txt' }));
  // Each list request reads the folder first. A new file is served once it has not changed between two of them.
  for (let scans = 0; scans < 3; scans += 1) await call('GET');

  const names = stack.standIn?.documents.all().map(({ fileName }) => fileName);
  expect(names?.toSorted()).toEqual(['a.txt', 'uploaded.txt']);
});

it('remove the files of the stand-in when they stop', async () => {
  const { temporary, options } = await stackOfTemporaryFiles();
  const stack = await startStack(options);
  expect(await readdir(temporary)).toHaveLength(2);

  await stack.stop();

  expect(await readdir(temporary)).toEqual(['a.txt']);
});

it('end their start with the reason of an interruption, and leave nothing behind', async () => {
  const { temporary, options } = await stackOfTemporaryFiles();
  const interrupt = new AbortController();
  for (let n = 0; n < 50; n += 1) await writeFile(join(temporary, `${n}.txt`), String(n));
  const files = await readdir(temporary);
  const reads: number[] = [];

  const starting = startStack({
    ...options,
    signal: interrupt.signal,
    onFilesRead: (read) => {
      reads.push(read);
      interrupt.abort(new Error('Interrupted.'));
    },
  });

  await expect(starting).rejects.toThrow('Interrupted.');
  expect(reads.length).toBeLessThan(10);
  expect(await readdir(temporary)).toEqual(files);
});
