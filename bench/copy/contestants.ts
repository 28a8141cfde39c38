/** Who takes part in a comparison: each is a process, or a command line, that copies a load and says what it took. */
import { type ChildProcess, execFile, execFileSync, fork, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import type { Wire } from '../wire/start.ts';
import { bucketName, credentials, type Way } from './ways.ts';
import type { Load, Took } from './worker.ts';

export interface Contestant {
  name: string;
  copy(load: Load): Promise<Took>;
  close(): void;
}

/** A way of `ways.ts`, warm after its first load. */
export function nodeContestant(way: Way, wire: Wire): Contestant {
  const child = fork(new URL('worker.ts', import.meta.url), [way], { env: environment(wire) });
  child.send(routeOf(wire));
  return {
    name: way,
    copy: async (load) => {
      child.send(load);
      return (await answerOf(child)) as Took;
    },
    close: () => child.disconnect(),
  };
}

export function boto3Contestant(way: 'upload_fileobj' | 'put_object', wire: Wire): Contestant {
  const script = new URL('boto3_worker.py', import.meta.url).pathname;
  const child = spawn('python3', [script, way], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: environment(wire),
  });
  const tell = (value: unknown) => child.stdin.write(`${JSON.stringify(value)}\n`);
  tell({ ...routeOf(wire), authority: wire.authority });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  return {
    name: `boto3 ${way}`,
    copy: async (load) => {
      tell(load);
      const { value, done } = await lines.next();
      if (done) throw new Error('The boto3 process has ended.');
      return JSON.parse(value) as Took;
    },
    close: () => child.kill(),
  };
}

/** A process, or two, for each document. */
export function commandContestant(name: 'rclone copyurl' | 'curl | aws s3 cp', wire: Wire): Contestant {
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
      const total: Took = { cpuMs: 0, ms: 0 };
      for (const { id } of documents) {
        // bash's own `time` counts every process of a pipeline.
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

/** The peers that are installed, with their versions; and those that are not. */
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
      const said = execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
      versions[name] = /\d+\.\d+(\.\d+)?/.exec(said)?.[0] ?? said.trim();
    } catch {
      // Not there, or it does not start: a peer less.
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
    // rclone cannot start with a bundle that the surroundings may name.
    AWS_CA_BUNDLE: authority,
    ...(authority !== undefined && { NODE_EXTRA_CA_CERTS: authority }),
  };
}

/** The next message; an error, should the process end before. */
function answerOf(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) => reject(new Error(`A contestant ended with ${code}.`));
    child.once('exit', onExit);
    child.once('message', (message) => {
      child.off('exit', onExit);
      resolve(message);
    });
  });
}
