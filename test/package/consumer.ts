/** An empty project outside the repository, into which npm installs what `npm pack` has packed. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import lock from '../../package-lock.json' with { type: 'json' };

const root = resolve(import.meta.dirname, '../..');

type Locked = Partial<
  Record<'dependencies' | 'optionalDependencies' | 'peerDependencies', Record<string, string>>
>;

const locked = lock.packages as Record<string, object> as Record<string, Locked | undefined>;

interface Exited {
  status: number | null;
  stdout: string;
  stderr: string;
}

export interface Consumer {
  folder: string;
  /** Paths in the packed archive. */
  packed: string[];
  /** Runs a program with the Node of this process. */
  run(args: readonly string[], environment?: NodeJS.ProcessEnv): Promise<Exited>;
}

/**
 * Packs and installs as a person would, but without a network: the folder already has copies of the packages that
 * `package.json` declares for the installed package, and of no others, so that npm finds them there.
 */
export function installPackage(): Consumer {
  const folder = mkdtempSync(join(tmpdir(), 'consumer-'));
  const env = { ...process.env, PATH: dirname(process.execPath) + delimiter + process.env.PATH };
  const npm = (cwd: string, ...args: string[]) =>
    execFileSync('npm', [...args, '--offline'], { cwd, env, encoding: 'utf8' });

  const [result] = JSON.parse(npm(root, 'pack', '--json', '--silent', '--pack-destination', folder));
  for (const path of neededPackages()) {
    // Copies, not links: through a link, a package would find all others of the repository.
    cpSync(join(root, path), join(folder, path), { recursive: true });
  }
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
  npm(folder, 'install', '--no-audit', '--no-fund', `./${result.filename}`);
  return {
    folder,
    packed: result.files.map(({ path }: { path: string }) => path),
    run: async (args, environment = {}) => {
      const program = spawn(process.execPath, args, {
        cwd: folder,
        env: { PATH: env.PATH, HOME: folder, COLUMNS: '80', ...environment },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const [stdout, stderr, [status]] = await Promise.all([
        text(program.stdout),
        text(program.stderr),
        once(program, 'close'),
      ]);
      return { status, stdout, stderr };
    },
  };
}

/** Paths in `node_modules/` of the dependencies and peers, with theirs. */
function neededPackages(): Set<string> {
  const needed = new Set<string>();
  const add = (from: string, { dependencies, optionalDependencies }: Locked) => {
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      const path = locate(from, name);
      // An optional dependency of another platform is not installed.
      if (path === undefined || needed.has(path) || !existsSync(join(root, path))) continue;
      needed.add(path);
      add(path, locked[path] ?? {});
    }
  };
  const { dependencies = {}, peerDependencies = {} } = locked[''] ?? {};
  add('', { dependencies: { ...dependencies, ...peerDependencies } });
  return needed;
}

/** Looks a package up as Node does: in the `node_modules` of the folder, then of those around it. */
function locate(from: string, name: string): string | undefined {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    const path = join(folder, 'node_modules', name);
    if (locked[path] !== undefined) return path;
    if (folder === '') return undefined;
  }
}

/** Packages that the JavaScript of a folder imports, without Node's own. */
export function importedPackages(files: readonly string[]): string[] {
  const imports = files.flatMap((file) => [
    ...readFileSync(file, 'utf8').matchAll(
      /(?:\bfrom|\bimport\(?)"((?:@[\w-]+\/)?[a-z][\w.-]*)(?:\/[^"]*)?"/g,
    ),
  ]);
  return [...new Set(imports.map(([, name = '']) => name))].toSorted();
}
