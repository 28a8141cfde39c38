/** Bundles the functions, for `infra/archiver-function.ts`. The CDK CLI runs this file before the app (`cdk.json`). */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BuildOptions, build } from 'esbuild';

export const projectRoot = fileURLToPath(new URL('..', import.meta.url));

const functionNames = ['webhook', 'discover', 'archive', 'audit'] as const;

/** The SDK's default credential chain: a quarter of a bundle, and not needed in Lambda. */
const sdkCredentialChain = '@aws-sdk/credential-provider-node';

export const functionOptions = {
  bundle: true,
  platform: 'node',
  target: 'node24',
  // A CommonJS bundle starts a fifth faster than the same bundle as an ECMAScript module (docs/performance.md). It has
  // the SDK, which starts 2.6 times faster than the runtime's, and is the version that was tested.
  format: 'cjs',
  mainFields: ['module', 'main'],
  minify: true,
  keepNames: true,
} as const satisfies BuildOptions;

/** Writes `dist/functions/<name>/index.js`. What has not changed is not written, so that a synth can read it meanwhile. */
export async function buildFunctions(): Promise<void> {
  await Promise.all(
    functionNames.map(async (name) => {
      const { outputFiles } = await build({
        ...functionOptions,
        absWorkingDir: projectRoot,
        entryPoints: [`functions/${name}/lambda.ts`],
        // The name that 0.1.0 deployed: Lambda changes code and handler one after the other.
        outfile: `dist/functions/${name}/index.js`,
        alias: { [sdkCredentialChain]: `${projectRoot}functions/credentials.ts` },
        write: false,
      });
      for (const { path, contents } of outputFiles) writeChanged(path, contents);
    }),
  );
}

function writeChanged(path: string, contents: Uint8Array): void {
  try {
    if (readFileSync(path).equals(contents)) return;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
  // The folder is the asset: nothing else may be in it.
  rmSync(dirname(path), { recursive: true, force: true });
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, contents);
}

if (import.meta.main) await buildFunctions();
