#!/usr/bin/env node
/** The `bin` of the package. Loads nothing of the command line, or of its packages, on a Node that may not be able to. */
import packageJson from '../package.json' with { type: 'json' };

const { name, engines } = packageJson;
const required = Number.parseInt(engines.node.replace('>=', ''), 10);

if (Number.parseInt(process.versions.node, 10) < required) {
  console.error(`Node ${process.versions.node} is too old: ${name} requires Node ${required} or later.`);
  process.exit(2);
}
await import('./archiver.ts');
