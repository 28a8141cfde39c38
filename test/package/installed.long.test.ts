import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import project from '../../package.json' with { type: 'json' };
import stageForSynth from '../../stage.example.json' with { type: 'json' };
import type { Template } from '../infra/view.ts';
import { type Consumer, importedPackages, installPackage } from './consumer.ts';

const typeScript = resolve('node_modules/typescript/bin/tsc');
const archiver = 'node_modules/.bin/archiver';

let consumer: Consumer;
beforeAll(() => {
  consumer = installPackage();
}, 300_000);
afterAll(() => rmSync(consumer.folder, { recursive: true, force: true }));

const app = `
import { App, CfnOutput, Stack } from 'aws-cdk-lib';
import { TelnyxDocumentArchiver } from 'telnyx-document-archiver';

const app = new App({ outdir: 'cdk.out' });
const stack = new Stack(app, 'Compliance', { terminationProtection: true });
const documents = new TelnyxDocumentArchiver(stack, 'Documents', {
  telnyxPublicKeys: ${JSON.stringify(stageForSynth.telnyxPublicKeys)},
  retentionDays: 365,
});
new CfnOutput(stack, 'Url', { value: documents.webhookUrl });
new CfnOutput(stack, 'Bucket', { value: documents.bucket.bucketName });
new CfnOutput(stack, 'Letters', { value: documents.queues.documents.deadLetters.queueUrl });
new CfnOutput(stack, 'Topic', { value: documents.alarmTopic.topicArn });
app.synth();
`;

describe('The packed package', () => {
  it('holds the build, three pages, the license and package.json, and nothing else', () => {
    const others = consumer.packed.filter((path) => !path.startsWith('dist/'));

    expect(others.toSorted()).toEqual([
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'docs/runbook.md',
      'package.json',
    ]);
    const names = consumer.packed
      .filter((path) => path.startsWith('dist/') && !path.startsWith('dist/samples/'))
      .map((path) => path.replace(/-[A-Z0-9]{8}\.js$/, '-*.js'));
    expect([...new Set(names)].toSorted()).toEqual([
      'dist/cli/archiver.js',
      'dist/cli/chunk-*.js',
      'dist/cli/deployed-checks-*.js',
      'dist/cli/local-archive-*.js',
      'dist/cli/main-*.js',
      'dist/cli/page.css',
      'dist/cli/page.js',
      'dist/construct.d.ts',
      'dist/construct.js',
      'dist/functions/archive/index.js',
      'dist/functions/discover/index.js',
      'dist/functions/webhook/index.js',
      'dist/queues.d.ts',
      'dist/stage.d.ts',
    ]);
  });

  it('has no script that runs in the project that installs it', () => {
    const installed = JSON.parse(
      readFileSync(join(consumer.folder, 'node_modules', project.name, 'package.json'), 'utf8'),
    );

    const run = [
      'preinstall',
      'install',
      'postinstall',
      'prepublish',
      'preprepare',
      'prepare',
      'postprepare',
    ];
    expect(Object.keys(installed.scripts).filter((name) => run.includes(name))).toEqual([]);
  });

  it('declares exactly the packages that it imports', () => {
    const dist = join(consumer.folder, 'node_modules', project.name, 'dist');
    const files = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter(
      (name) => name.endsWith('.js') && !name.startsWith('functions/'),
    );

    expect(importedPackages(files.map((name) => join(dist, name)))).toEqual(
      Object.keys({ ...project.dependencies, ...project.peerDependencies }).toSorted(),
    );
  });
});

describe('An app that uses the installed construct', () => {
  /** Of a project without types for Node. */
  const check = (file: string) =>
    consumer.run(
      typeScript,
      ...[
        '--noEmit',
        '--strict',
        '--module',
        'nodenext',
        '--target',
        'es2024',
        '--types',
        '',
        '--skipLibCheck',
      ],
      ...['--ignoreConfig', file],
    );

  it('compiles', () => {
    writeFileSync(join(consumer.folder, 'app.ts'), app);

    expect(check('app.ts')).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  it.each([
    ['without a required setting', 'retentionDays: 365,', '', 'retentionDays'],
    ['with an unknown setting', 'retentionDays:', 'retention: 1, retentionDays:', 'retention'],
    ["with tags, which are the app's", 'retentionDays:', 'tags: {}, retentionDays:', 'tags'],
  ])('does not compile %s', (_, settings, others, problem) => {
    writeFileSync(join(consumer.folder, 'wrong.ts'), app.replace(settings, others));

    const { status, stdout } = check('wrong.ts');

    expect(status).not.toBe(0);
    expect(stdout).toContain(`'${problem}'`);
  });

  it('synthesizes one stack with the bundles of the package, without esbuild and without feature flags', () => {
    writeFileSync(join(consumer.folder, 'app.ts'), app);

    const { status, stderr } = consumer.run('app.ts');

    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const assembly = join(consumer.folder, 'cdk.out');
    const template: Template = JSON.parse(readFileSync(join(assembly, 'Compliance.template.json'), 'utf8'));
    const types = Object.values(template.Resources).map(({ Type }) => Type);
    expect(types.filter((type) => type === 'AWS::Lambda::Function')).toHaveLength(3);
    expect(types.filter((type) => type === 'AWS::S3::Bucket')).toHaveLength(2);
    const bundles = readdirSync(assembly).filter((name) => name.startsWith('asset.'));
    expect(bundles).toHaveLength(3);
    for (const name of bundles) expect(readdirSync(join(assembly, name))).toEqual(['index.js']);
  });
});

describe('The installed command line', () => {
  it('prints its help', () => {
    const { status, stdout, stderr } = consumer.run(archiver, '--help');

    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^Usage: archiver/);
  });

  it('archives the samples with the local stack, then shows and checks the archive', () => {
    const local = consumer.run(archiver, 'local', '--once', '--archive', 'archive');
    const status = consumer.run(archiver, 'status', '--local', 'archive');
    const audit = consumer.run(archiver, 'audit', '--local', 'archive', '--html', 'audit.html');

    expect(local.status).toBe(0);
    expect(local.stderr).toContain('9 of 9 documents');
    expect(status.status).toBe(0);
    expect(status.stdout).toMatch(/\b9\b/);
    expect(audit.status).toBe(0);
    expect(readFileSync(join(consumer.folder, 'audit.html'), 'utf8')).toContain('<style>');
    expect(readdirSync(join(consumer.folder, 'archive', 'documents'))).toHaveLength(9);
  });

  it('names itself in advice as it is called', () => {
    const help = consumer.run(archiver, 'local', '--help');

    expect(help.status).toBe(0);
    expect(help.stdout).toContain('npx archiver local --documents ~/Documents');
    expect(help.stdout).not.toContain('npm start');
  });
});
