/** `npm run build`: writes `dist/`. JavaScript, because Node strips no types under `node_modules`. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { type BuildOptions, build } from 'esbuild';
import { buildFunctions, projectRoot } from './functions.ts';

/** Imports packages instead of holding them: npm installs the dependencies of `package.json` with the package. */
const moduleOptions = {
  bundle: true,
  packages: 'external',
  platform: 'node',
  target: 'node24',
  format: 'esm',
  splitting: true,
  minifySyntax: true,
  minifyWhitespace: true,
  logLevel: 'warning',
} as const satisfies BuildOptions;

process.chdir(projectRoot);
mkdirSync('dist', { recursive: true });
for (const name of readdirSync('dist')) {
  // A synth may be reading the bundles.
  if (name !== 'functions') rmSync(join('dist', name), { recursive: true });
}
await Promise.all([
  buildFunctions(),
  build({ ...moduleOptions, entryPoints: ['infra/construct.ts'], outdir: 'dist' }),
  build({
    ...moduleOptions,
    entryPoints: [{ in: 'cli/installed.ts', out: 'archiver' }],
    outdir: 'dist/cli',
  }),
]);
// Read at run time, relative to the file that reads them.
for (const file of ['page.css', 'page.js']) cpSync(`cli/report/${file}`, `dist/cli/${file}`);
cpSync('local/samples', 'dist/samples', { recursive: true });
writeDeclarations('infra/construct.ts');

/** Writes the declarations of a module, and of those that it needs for its own, into `dist/`. All are in one folder. */
function writeDeclarations(module: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'declarations-'));
  try {
    const project = join(projectRoot, 'build', 'tsconfig.json');
    const tsc = 'node_modules/typescript/bin/tsc';
    execFileSync(process.execPath, [tsc, '--project', project, '--outDir', folder], { stdio: 'inherit' });
    const names = new Set([basename(module, '.ts')]);
    for (const name of names) {
      const text = readFileSync(join(folder, 'infra', `${name}.d.ts`), 'utf8');
      const imported = /(?<=from ')(\.[^']*)\.ts(?=')/g;
      for (const [, path = ''] of text.matchAll(imported)) names.add(path.replace('./', ''));
      writeFileSync(`dist/${name}.d.ts`, text.replace(imported, '$1.js'));
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}
