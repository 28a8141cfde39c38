import { expect, test } from 'vitest';
import { createAuditFunction } from '../fakes/audit-function.ts';
import { virtualTime } from '../fakes/clock.ts';
import { noon } from '../fakes/documents.ts';
import { MemoryBucket } from '../fakes/memory-bucket.ts';
import { settings, synthesize } from './deployments.ts';
import { ofType, text } from './view.ts';

test('The dashboard reads its table of audits from the log line of a completed run', async () => {
  const time = virtualTime(noon);
  const { lines, night } = createAuditFunction({ bucket: new MemoryBucket(time), time });
  const [dashboard] = ofType(synthesize(settings.minimal).view, 'AWS::CloudWatch::Dashboard');
  const widgets = text(dashboard?.properties.DashboardBody);
  const query = /fields ([\w ,]+).*?filter message = \\"([\w ]+)\\"/.exec(widgets);
  const fields = query?.[1]?.split(',').map((field) => field.trim().split(' ')[0]) ?? [];

  await night();

  const [line = {}] = lines.filter(({ message }) => message === query?.[2]);
  expect(fields).toEqual(['run', 'found', 'bytes', 'problems']);
  expect(fields.filter((field = '') => !(field in line))).toEqual([]);
});
