import { it } from 'vitest';
import { expectNoViolationUnderSevereFaults } from './severe-faults.ts';

it('violates no invariant in a hundred runs under severe faults (part 2 of 3)', async () => {
  await expectNoViolationUnderSevereFaults(1);
}, 600_000);
