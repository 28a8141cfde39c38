/**
 * Compares the Node that `npm ci` installed with its known SHA-256. The package `node` downloads it in an install
 * script of its own, so package-lock.json has no digest of it. JavaScript, since it may run on an older Node.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const file = process.platform === 'win32' ? 'node.exe' : 'node';
const defaultPath = fileURLToPath(new URL(`./node_modules/node/bin/${file}`, import.meta.url));
const [path = defaultPath, platform = `${process.platform}-${process.arch}`] = process.argv.slice(2);

/**
 * Of `bin/node` in `npm pack node-<platform>-<arch>@24.21.0`, whose tarball npm verifies. A platform that is not here
 * is not verified.
 */
const digests = {
  'linux-x64': '7fde7b8afa198da66257f42ee2001d874c7355631e6d1579a5fb5ef1f246df4c',
  'linux-arm64': '0f8949d1028f6d61506b2d5bc57e7e6fe893d7b1997509b7847294fc9c616584',
  'win32-x64': 'ba4e6d110e8c1592a1ecd390f6b05f3da124b13871a5be62b341a07a853c6c32',
};

const expected = digests[platform];
if (expected === undefined) {
  console.error(`No digest of Node is known for ${platform}; the installed one was not verified.`);
} else if (existsSync(path)) {
  const actual = createHash('sha256').update(readFileSync(path)).digest('hex');
  if (actual !== expected) {
    console.error(
      `The installed Node has the SHA-256 ${actual}, expected ${expected}. If you changed the version of the devDependency "node", update verify-node.js. Otherwise delete node_modules and do not run it.`,
    );
    process.exit(1);
  }
}
