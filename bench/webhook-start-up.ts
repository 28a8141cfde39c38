/**
 * How long the webhook function's bundle takes to import, against the SQS client alone, and what is in it:
 * `node bench/webhook-start-up.ts`. Each import is a process of its own; the two take turns, so that whatever else
 * the machine does hits both.
 */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type BuildOptions, build } from 'esbuild';

const rounds = 30;
const projectRoot = fileURLToPath(new URL('..', import.meta.url));
const environment = {
  ...process.env,
  AWS_REGION: 'us-east-1',
  DOCUMENTS_QUEUE_URL: 'https://sqs.us-east-1.amazonaws.com/000000000000/documents',
  DISCOVERY_QUEUE_URL: 'https://sqs.us-east-1.amazonaws.com/000000000000/discovery',
};
const sqsAlone = `
  import { SendMessageBatchCommand, SQSClient } from '@aws-sdk/client-sqs';
  const client = new SQSClient();
  export const handler = (input) => client.send(new SendMessageBatchCommand(input));`;
const subjects: [string, BuildOptions][] = [
  ['client-sqs', { stdin: { contents: sqsAlone, resolveDir: projectRoot } }],
  ['webhook', { entryPoints: [join(projectRoot, 'functions/webhook/lambda.ts')] }],
];

const directory = await mkdtemp(join(tmpdir(), 'bench-start-up-'));
try {
  const measured = new Map<string, number[]>();
  for (const [name, subject] of subjects) {
    measured.set(name, []);
    await bundle(name, subject);
  }
  // The first round warms the disk's cache and does not count.
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, times] of round % 2 === 0 ? measured : [...measured].reverse()) {
      const ms = importMs(name);
      if (round > 0) times.push(ms);
    }
  }
  const [alone = Number.NaN] = [...measured.values()].map(median);
  for (const [name, times] of measured) {
    const ms = median(times);
    console.log(
      `${name.padEnd(10)} imports in ${ms.toFixed(1)} ms (median of ${rounds}), ${(ms / alone).toFixed(2)} × client-sqs`,
    );
  }
} finally {
  await rm(directory, { recursive: true, force: true });
}

/** As `infra/archiver-function.ts` has it bundled. */
async function bundle(name: string, subject: BuildOptions): Promise<void> {
  const { metafile } = await build({
    ...subject,
    outfile: file(name),
    bundle: true,
    metafile: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    mainFields: ['module', 'main'],
    minify: true,
    keepNames: true,
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
  });
  const [output] = Object.values(metafile.outputs);
  const bytes = new Map<string, number>();
  for (const [path, { bytesInOutput }] of Object.entries(output?.inputs ?? {})) {
    const owner = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? 'own code';
    bytes.set(owner, (bytes.get(owner) ?? 0) + bytesInOutput);
  }
  const largest = [...bytes].toSorted(([, a], [, b]) => b - a).slice(0, 8);
  console.log(
    `${name.padEnd(10)} ${output?.bytes} B minified: ${largest.map(([owner, size]) => `${owner} ${(size / 1_000).toFixed(0)} kB`).join(', ')}, …`,
  );
}

function importMs(name: string): number {
  const script = `const began = performance.now(); await import(${JSON.stringify(pathToFileURL(file(name)).href)}); process.stdout.write(String(performance.now() - began)); process.exit();`;
  return Number(
    execFileSync(process.execPath, ['--input-type=module', '--eval', script], { env: environment }),
  );
}

function file(name: string): string {
  return join(directory, `${name}.mjs`);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
