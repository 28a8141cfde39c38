import { expect, it } from 'vitest';
import { soak } from './soak.ts';

it('archives every document exactly, or makes it a dead letter for its own fault, under faults and after a kill and restart', async () => {
  const messages: string[] = [];

  const end = await soak({
    documents: 300,
    kills: 1,
    random: Math.random,
    say: (text) => messages.push(text),
  });

  expect(end.violations).toEqual([]);
  expect(end.documents).toBeGreaterThan(300);
  expect(end.archived).toBe(end.documents - 3);
  expect(messages).toHaveLength(1);
}, 600_000);
