import { expect, it } from 'vitest';
import { soak } from './soak.ts';

it('Under faults at every turn, killed and started again, each document is archived exactly, or a dead letter if it is at fault itself', async () => {
  const said: string[] = [];

  const end = await soak({ documents: 300, kills: 1, random: Math.random, say: (text) => said.push(text) });

  expect(end.violations).toEqual([]);
  expect(end.documents).toBeGreaterThan(300);
  expect(end.archived).toBe(end.documents - 3);
  expect(said).toHaveLength(1);
}, 600_000);
