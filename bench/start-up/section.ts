/** Size and import time of the deployed bundles, and the time from process start to the first archived document. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bucketName, credentials } from '../copy/implementations.ts';
import { exact, type Figure, ratioOf, type Section, spreadOf } from '../figures.ts';
import { newDocument } from '../wire/contents.ts';
import { startWire, type Wire } from '../wire/start.ts';
import { type Bundle, clientAlone, deployedBundles } from './bundles.ts';

const maxBytes = { archive: 520_000, webhook: 340_000 };

export const startUpSection: Section = {
  name: 'start-up',
  title: 'Bundles and start-up',
  short: true,
  run: async ({ full, report }) => {
    const rounds = full ? 41 : 15;
    const directory = await mkdtemp(join(tmpdir(), 'bench-start-up-'));
    const wire = await startWire();
    try {
      report('bundling');
      const { archive, webhook, discover, audit } = deployedBundles(directory);
      const s3 = await clientAlone('client-s3', directory);
      const sqs = await clientAlone('client-sqs', directory);
      report('importing');
      const bundles = [archive, s3, webhook, sqs, discover, audit];
      const imports = inTurn(bundles, rounds, (bundle) => run(bundle, importing(bundle)));
      report('archiving in a new process');
      const first = inTurn([archive, s3], rounds, (bundle) =>
        bundle === archive ? run(archive, archivingOne(archive), wireFor(wire)) : run(s3, putting(s3, wire)),
      );
      const timesOf = (measured: Map<Bundle, number[]>, bundle: Bundle) => measured.get(bundle) ?? [];
      const against = (measured: Map<Bundle, number[]>, bundle: Bundle, other: Bundle) =>
        ratioOf(timesOf(measured, bundle), timesOf(measured, other));
      const sizes = new Map<Bundle, number>();
      for (const bundle of bundles) sizes.set(bundle, (await stat(bundle.path)).size);
      const size = (bundle: Bundle, max?: number): Figure => ({
        name: `Bundle of ${bundle.name}, minified`,
        unit: 'kB',
        value: exact(Math.round((sizes.get(bundle) ?? Number.NaN) / 100) / 10),
        ...(max !== undefined && { target: { atMost: max / 1_000 } }),
      });
      return {
        figures: [
          size(archive, maxBytes.archive),
          size(webhook, maxBytes.webhook),
          size(discover),
          size(audit),
          {
            name: 'Start-up of archive relative to client-s3 alone',
            unit: '×',
            value: against(imports, archive, s3),
            target: { atMost: 1.1 },
          },
          {
            name: 'Start-up of webhook relative to client-sqs alone',
            unit: '×',
            value: against(imports, webhook, sqs),
            target: { atMost: 1.1 },
          },
          {
            name: 'New process to first archived document, relative to client-s3 alone and one PUT',
            unit: '×',
            value: against(first, archive, s3),
            target: { atMost: 1.15 },
          },
        ],
        tables: [
          {
            title: 'Bundle',
            rows: bundles.map((bundle) => ({
              name: bundle.name,
              values: {
                kB: exact(Math.round((sizes.get(bundle) ?? Number.NaN) / 1_000)),
                'import ms': spreadOf(timesOf(imports, bundle)),
                ...(first.has(bundle) && {
                  'process to first document, ms': spreadOf(timesOf(first, bundle)),
                }),
              },
            })),
          },
        ],
      };
    } finally {
      wire.close();
      await rm(directory, { recursive: true, force: true });
    }
  },
};

/** Measures the bundles in turn, starting with a different one each round. The first round warms the disk cache and is not counted. */
function inTurn(bundles: readonly Bundle[], rounds: number, measure: (bundle: Bundle) => number) {
  const measured = new Map<Bundle, number[]>(bundles.map((bundle) => [bundle, []]));
  for (let round = 0; round <= rounds; round += 1) {
    const first = round % bundles.length;
    for (const bundle of [...bundles.slice(first), ...bundles.slice(0, first)]) {
      const ms = measure(bundle);
      if (round > 0) measured.get(bundle)?.push(ms);
    }
  }
  return measured;
}

/** Runs the script in a new process with only the function's environment. @returns the number in its last line of output */
function run(bundle: Bundle, script: string, environment: Record<string, string> = {}): number {
  const output = execFileSync(process.execPath, ['--eval', script], {
    encoding: 'utf8',
    env: {
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      ...bundle.environment,
      ...environment,
    },
  });
  // The lines before it are logs of the function.
  return Number(output.trimEnd().split('\n').at(-1));
}

function importing({ path }: Bundle): string {
  return `
    const began = performance.now();
    require(${JSON.stringify(path)});
    console.log(performance.now() - began);
    process.exit();`;
}

/** Script that invokes the function with one message and prints the milliseconds since the process started. */
function archivingOne({ path }: Bundle): string {
  const document = newDocument(100_000);
  const message = {
    v: 1,
    kind: 'document',
    documentId: document.id,
    trigger: 'operator',
    requestedAt: new Date().toISOString(),
  };
  const record = {
    messageId: '1',
    receiptHandle: '1',
    body: JSON.stringify(message),
    attributes: { ApproximateReceiveCount: '1', SentTimestamp: String(Date.now()) },
    eventSourceARN: 'arn:aws:sqs:us-east-1:000000000000:bench',
  };
  return `
    const { handler } = require(${JSON.stringify(path)});
    const context = { awsRequestId: '1', getRemainingTimeInMillis: () => 60_000 };
    handler(${JSON.stringify({ Records: [record] })}, context).then((result) => {
      if (result.batchItemFailures.length > 0) throw new Error('Not archived.');
      console.log(performance.now());
      process.exit();
    });`;
}

function wireFor({ source, sink }: Wire): Record<string, string> {
  return {
    BUCKET_NAME: bucketName,
    AWS_ENDPOINT_URL_S3: sink.origin,
    AWS_ENDPOINT_URL_SECRETS_MANAGER: source.origin,
    TELNYX_API_URL: `${source.origin}/v2`,
    TRUSTED_DOWNLOAD_ORIGIN: source.origin,
  };
}

/** Script that uploads the same number of bytes from memory with one PUT, without message, download, checks and receipt. */
function putting({ path }: Bundle, { sink }: Wire): string {
  return `
    process.env.AWS_ENDPOINT_URL_S3 = ${JSON.stringify(sink.origin)};
    const { handler } = require(${JSON.stringify(path)});
    handler({ Bucket: ${JSON.stringify(bucketName)}, Key: 'documents/bench', Body: Buffer.alloc(100_000) }).then(() => {
      console.log(performance.now());
      process.exit();
    });`;
}
