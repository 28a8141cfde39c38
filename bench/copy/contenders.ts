/** Contenders of a comparison: each is a process or a command line that copies a load and reports its cost. */
import { type ChildProcess, execFile, execFileSync, fork, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import type { Wire } from '../wire/start.ts';
import { bucketName, credentials, type ImplementationName } from './implementations.ts';
import type { Load, Measurement } from './worker.ts';

export interface Contender {
  name: string;
  copy(load: Load): Promise<Measurement>;
  close(): void;
}

/** Runs an implementation of `implementations.ts` in a process, which is warm after its first load. */
export function nodeContender(implementation: ImplementationName, wire: Wire): Contender {
  const child = fork(new URL('worker.ts', import.meta.url), [implementation], { env: environment(wire) });
  child.send(routeOf(wire));
  return {
    name: implementation,
    copy: async (load) => {
      child.send(load);
      return (await nextMessage(child)) as Measurement;
    },
    close: () => child.disconnect(),
  };
}

export function boto3Contender(implementation: 'upload_fileobj' | 'put_object', wire: Wire): Contender {
  const script = new URL('boto3_worker.py', import.meta.url).pathname;
  const child = spawn('python3', [script, implementation], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: environment(wire),
  });
  const write = (value: unknown) => child.stdin.write(`${JSON.stringify(value)}\n`);
  write({ ...routeOf(wire), authority: wire.authority });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  return {
    name: `boto3 ${implementation}`,
    copy: async (load) => {
      write(load);
      const { value, done } = await lines.next();
      if (done) throw new Error('The boto3 process exited.');
      return JSON.parse(value) as Measurement;
    },
    close: () => child.kill(),
  };
}

/** Starts one or two processes per document. */
export function commandContender(name: 'rclone copyurl' | 'curl | aws s3 cp', wire: Wire): Contender {
  const commandFor = (id: string) => {
    const link = `${wire.source.origin}/storage/${id}`;
    const target = `${bucketName}/documents/${id}`;
    return name === 'rclone copyurl'
      ? `rclone copyurl '${link}' ':s3,provider=Other,env_auth=true,endpoint="${wire.sink.origin}":${target}' --s3-no-check-bucket`
      : `curl -sS '${link}' | aws s3 cp --quiet --endpoint-url ${wire.sink.origin} - s3://${target}`;
  };
  return {
    name,
    copy: async ({ documents }) => {
      const total: Measurement = { cpuMs: 0, ms: 0 };
      for (const { id } of documents) {
        // The `time` keyword of bash includes every process of a pipeline.
        const script = `TIMEFORMAT='%R %U %S'; set -o pipefail; time (${commandFor(id)})`;
        const { stderr } = await promisify(execFile)('bash', ['-c', script], { env: environment(wire) });
        const [real = 0, user = 0, system = 0] = (stderr.trim().split('\n').at(-1) ?? '')
          .split(' ')
          .map(Number);
        total.ms += real * 1_000;
        total.cpuMs += (user + system) * 1_000;
      }
      return total;
    },
    close: () => undefined,
  };
}

/** Installed tools with their versions, and missing ones. */
export function installedPeers(): { versions: Record<string, string>; missing: string[] } {
  const versions: Record<string, string> = {};
  const missing: string[] = [];
  const commands: Record<string, [string, ...string[]]> = {
    boto3: ['python3', '-c', 'import boto3; print(boto3.__version__)'],
    rclone: ['rclone', 'version'],
    curl: ['curl', '--version'],
    aws: ['aws', '--version'],
  };
  for (const [name, [command, ...args]] of Object.entries(commands)) {
    try {
      const output = execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
      versions[name] = /\d+\.\d+(\.\d+)?/.exec(output)?.[0] ?? output.trim();
    } catch {
      // Not installed, or it does not start.
      missing.push(name);
    }
  }
  return { versions, missing };
}

function routeOf({ source, sink }: Wire) {
  return { source: source.origin, sink: sink.origin };
}

function environment({ authority }: Wire): NodeJS.ProcessEnv {
  return {
    ...process.env,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    AWS_REGION: 'us-east-1',
    AWS_DEFAULT_REGION: 'us-east-1',
    // Overrides a bundle in the environment, with which rclone may fail to start.
    AWS_CA_BUNDLE: authority,
    ...(authority !== undefined && { NODE_EXTRA_CA_CERTS: authority }),
  };
}

/** Next message of the process. Rejects if the process exits first. */
function nextMessage(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) => reject(new Error(`A contender exited with code ${code}.`));
    child.once('exit', onExit);
    child.once('message', (message) => {
      child.off('exit', onExit);
      resolve(message);
    });
  });
}
