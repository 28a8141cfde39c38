import { describe, expect, it } from 'vitest';
import { selectTargets, type TargetOptions } from '../../../cli/target/open.ts';
import { systemTime } from '../../../functions/time.ts';
import { newFolder } from '../world.ts';

/** Names of the archivers that a command would run on. */
async function namesOf(options: TargetOptions, environment: NodeJS.ProcessEnv): Promise<string[]> {
  const targets = selectTargets(options, { AWS_REGION: 'eu-central-1', ...environment }, systemTime);
  return await Promise.all(
    targets.map(async (open) => {
      const target = await open();
      await target.close();
      return target.name;
    }),
  );
}

async function nameOf(options: TargetOptions, environment: NodeJS.ProcessEnv): Promise<string> {
  return (await namesOf(options, environment)).join(', ');
}

describe('the archiver of a command', () => {
  it('is the one that the variables select when no option does', async () => {
    const folder = await newFolder();

    expect(await nameOf({}, {})).toBe('telnyx-archiver in eu-central-1');
    expect(await nameOf({}, { ARCHIVER_LOCAL: '', ARCHIVER_STACK: 'letters' })).toBe(
      'letters in eu-central-1',
    );
    expect(await nameOf({}, { ARCHIVER_LOCAL: folder })).toBe(folder);
  });

  it('is the one that an option selects, whatever the variables say', async () => {
    const folder = await newFolder();
    const environment = { ARCHIVER_LOCAL: '/nowhere', ARCHIVER_STACK: 'letters' };

    expect(await nameOf({ stack: ['other'] }, environment)).toBe('other in eu-central-1');
    expect(await nameOf({ local: folder }, environment)).toBe(folder);
  });

  it('is each of several stacks once, in their order', async () => {
    const names = await namesOf({ stack: ['prod', 'dev', 'prod'] }, { ARCHIVER_STACK: 'letters' });

    expect(names).toEqual(['prod in eu-central-1', 'dev in eu-central-1']);
  });

  it('is not chosen when both options, or both variables without an option, are set', async () => {
    const both = { ARCHIVER_LOCAL: '/a', ARCHIVER_STACK: 'b' };

    await expect(nameOf({ local: '/a', stack: ['b'] }, {})).rejects.toThrow(
      '--local and --stack cannot be combined',
    );
    await expect(nameOf({}, both)).rejects.toThrow('ARCHIVER_LOCAL and ARCHIVER_STACK cannot be combined');
  });
});
