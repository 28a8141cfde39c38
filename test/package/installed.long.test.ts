import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import project from '../../package.json' with { type: 'json' };
import stageForSynth from '../../stage.example.json' with { type: 'json' };
import {
  exportsXml,
  healthy,
  noSuchStack,
  queryResult,
  stackXml,
  startAwsServices,
  storeCommand,
} from '../cli/target/aws.ts';
import { exportsOf } from '../infra/specification.ts';
import type { Template } from '../infra/view.ts';
import { type Consumer, importedPackages, installPackage } from './consumer.ts';

const typeScript = resolve('node_modules/typescript/bin/tsc');
const archiver = 'node_modules/.bin/archiver';

let consumer: Consumer;
beforeAll(() => {
  consumer = installPackage();
}, 300_000);
afterAll(() => rmSync(consumer.folder, { recursive: true, force: true }), 300_000);

const app = `
import { App, CfnOutput, Stack } from 'aws-cdk-lib';
import { TelnyxDocumentArchiver } from 'telnyx-document-archiver';

const app = new App({ outdir: 'cdk.out' });
const stack = new Stack(app, 'Compliance', { terminationProtection: true });
const documents = new TelnyxDocumentArchiver(stack, 'Documents', {
  name: 'stage',
  telnyxPublicKeys: ${JSON.stringify(stageForSynth.telnyxPublicKeys)},
  retentionDays: 365,
});
new CfnOutput(stack, 'Url', { value: documents.webhookUrl });
new CfnOutput(stack, 'Bucket', { value: documents.bucket.bucketName });
new CfnOutput(stack, 'Letters', { value: documents.queues.documents.deadLetters.queueUrl });
new CfnOutput(stack, 'Topic', { value: documents.alarmTopic.topicArn });
app.synth();
`;

let synthesis: ReturnType<typeof runApp> | undefined;

/** Synthesizes the app into `cdk.out`, once. */
function synthesizeApp() {
  synthesis ??= runApp();
  return synthesis;
}

async function runApp() {
  writeFileSync(join(consumer.folder, 'app.ts'), app);
  const exited = await consumer.run(['app.ts']);
  const assembly = join(consumer.folder, 'cdk.out');
  return { ...exited, assembly, template: readFileSync(join(assembly, 'Compliance.template.json'), 'utf8') };
}

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
      'dist/cli/archiver-*.js',
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
      'dist/functions/audit/index.js',
      'dist/functions/discover/index.js',
      'dist/functions/webhook/index.js',
      'dist/queues.d.ts',
      'dist/stage.d.ts',
    ]);
  });

  it('checks the version of Node before it loads its code or another package', () => {
    const read = (name: string) =>
      readFileSync(join(consumer.folder, 'node_modules', project.name, 'dist/cli', name), 'utf8');
    const importsIn = (text: string) =>
      [...text.matchAll(/\b(?:from|import)"\.?\/?([^"]+)"/g)].map(([, name]) => name);

    const [settings, ...others] = importsIn(read('archiver.js'));

    expect(others).toEqual([]);
    expect(settings).toMatch(/^chunk-/);
    expect(importsIn(read(settings ?? ''))).toEqual([]);
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
    consumer.run([
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
    ]);

  it('compiles', async () => {
    writeFileSync(join(consumer.folder, 'app.ts'), app);

    expect(await check('app.ts')).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  it.each([
    ['without a required setting', 'retentionDays: 365,', '', 'retentionDays'],
    ['with an unknown setting', 'retentionDays:', 'retention: 1, retentionDays:', 'retention'],
    ["with tags, which are the app's", 'retentionDays:', 'tags: {}, retentionDays:', 'tags'],
  ])('does not compile %s', async (_, settings, others, problem) => {
    writeFileSync(join(consumer.folder, 'wrong.ts'), app.replace(settings, others));

    const { status, stdout } = await check('wrong.ts');

    expect(status).not.toBe(0);
    expect(stdout).toContain(`'${problem}'`);
  });

  it('synthesizes one stack with the bundles of the package, without esbuild and without feature flags', async () => {
    const { status, stderr, assembly, template } = await synthesizeApp();

    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const { Resources }: Template = JSON.parse(template);
    const types = Object.values(Resources).map(({ Type }) => Type);
    expect(types.filter((type) => type === 'AWS::Lambda::Function')).toHaveLength(4);
    expect(types.filter((type) => type === 'AWS::S3::Bucket')).toHaveLength(3);
    const bundles = readdirSync(assembly).filter((name) => name.startsWith('asset.'));
    expect(bundles).toHaveLength(4);
    for (const name of bundles) expect(readdirSync(join(assembly, name))).toEqual(['index.js']);
  });
});

describe('The installed command line', () => {
  it('prints its help', async () => {
    const { status, stdout, stderr } = await consumer.run([archiver, '--help']);

    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^Usage: archiver/);
  });

  it('archives the samples with the local stack, then shows and checks the archive', async () => {
    const local = await consumer.run([archiver, 'local', '--once', '--archive', 'archive']);
    const status = await consumer.run([archiver, 'status', '--local', 'archive']);
    const audit = await consumer.run([archiver, 'audit', '--local', 'archive', '--html', 'audit.html']);

    expect(local.status).toBe(0);
    expect(local.stderr).toContain('9 of 9 documents');
    expect(status.status).toBe(0);
    expect(status.stdout).toMatch(/\b9\b/);
    expect(audit.status).toBe(0);
    expect(readFileSync(join(consumer.folder, 'audit.html'), 'utf8')).toContain('<style>');
    expect(readdirSync(join(consumer.folder, 'archive', 'documents'))).toHaveLength(9);
  });

  it('archives a document of a folder with the local stack, unchanged', async () => {
    const letter = Buffer.from('Letter of authorisation\n');
    mkdirSync(join(consumer.folder, 'letters'));
    writeFileSync(join(consumer.folder, 'letters', 'letter.txt'), letter);

    const options = ['--once', '--documents', 'letters', '--archive', 'archive-of-letters'];
    const { status } = await consumer.run([archiver, 'local', ...options]);

    const documents = join(consumer.folder, 'archive-of-letters', 'documents');
    expect(status).toBe(0);
    expect(readdirSync(documents).map((name) => readFileSync(join(documents, name)))).toEqual([letter]);
  });

  it('finds the archiver in the stack of the app, and all that it checks there', async () => {
    const { template } = await synthesizeApp();
    const exported = exportsOf(JSON.parse(template)).map(([name]) => name);
    const id = 'arn:aws:cloudformation:eu-central-1:123456789012:stack/Compliance/1a2b';
    const { requests } = await startAwsServices((url) => {
      const values: Record<string, string> = {
        ArchiveBucketName: 'the-archive',
        StoreApiKey: storeCommand,
        WebhookUrl: `${url}/webhook`,
        AlarmTopicArn: 'arn:of-the-topic',
      };
      const outputs = Object.entries(values).filter(([name]) => exported.includes(`stage:${name}`));
      const stack = stackXml('CREATE_COMPLETE', Object.fromEntries(outputs), {
        name: 'Compliance',
        exportsOf: 'stage',
      });
      return {
        ...healthy(url),
        'cloudformation DescribeStacks': ({ body }) =>
          new URLSearchParams(body).get('StackName') === id ? stack : noSuchStack,
        'cloudformation ListExports': () => exportsXml(id, exported),
        'cloudformation GetTemplate': () =>
          queryResult('GetTemplate', `<TemplateBody><![CDATA[${template}]]></TemplateBody>`),
        lambda: () => ({
          body: { AccountLimit: { ConcurrentExecutions: 1_000, UnreservedConcurrentExecutions: 1_000 } },
        }),
      };
    });

    const { status, stdout, stderr } = await consumer.run(
      [archiver, 'doctor', '--stack', 'stage'],
      process.env,
    );

    expect({ status, stderr }, stdout).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('Compliance is deployed');
    expect(stdout).toContain('the stack Compliance uses up to 50');
    expect(stdout).toContain('0 problems in 11 checks');
    expect(requests.find(({ service }) => service === 's3')?.path).toContain('/the-archive');
  });

  it('exits with 2 and one line when Node is too old', async () => {
    const old = "data:text/javascript,Object.defineProperty(process.versions,'node',{value:'22.13.0'})";

    const exited = await consumer.run(['--import', old, archiver, '--version']);

    expect(exited).toEqual({
      status: 2,
      stdout: '',
      stderr: 'Node 22.13.0 is too old: telnyx-document-archiver requires Node 24 or later.\n',
    });
  });

  it('names itself in advice as it is called', async () => {
    const help = await consumer.run([archiver, 'local', '--help']);

    expect(help.status).toBe(0);
    expect(help.stdout).toContain('npx archiver local --documents ~/Documents');
    expect(help.stdout).not.toContain('npm start');
  });
});
