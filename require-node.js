/** Ends the process with one line where Node is older than the pinned devDependency. JavaScript, since such a Node reads no TypeScript. */
import { readFileSync } from 'node:fs';

const { devDependencies } = JSON.parse(readFileSync(new URL('./package.json', import.meta.url), 'utf8'));

if (Number.parseInt(process.versions.node, 10) < Number.parseInt(devDependencies.node, 10)) {
  console.error(
    `Node ${process.versions.node} is too old; this project brings Node ${devDependencies.node}. Run "npm ci" without --ignore-scripts or --omit=dev, then start through npm or npx, such as "npx cdk" instead of a global "cdk".`,
  );
  process.exit(2);
}
