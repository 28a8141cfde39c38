/** Starts the local stack over real sockets and runs commands on it in this process. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { onTestFinished, vi } from 'vitest';
import type { CommandContext } from '../../cli/command.ts';
import { archiverLine } from '../../cli/json-lines.ts';
import { localArchive } from '../../cli/target/local-archive.ts';
import { systemTime } from '../../functions/time.ts';
import { type StackOptions, startStack } from '../../local/stack.ts';
import { asStyled } from '../../terminal/styled.ts';
import type { Terminal } from '../../terminal/terminal.ts';
import { quickTimings } from '../quick-timings.ts';

export interface CommandResult {
  exitCode: number;
  printed: string;
  noted: string;
  records: Record<string, unknown>[];
  questions: string[];
}

/** A terminal that records its output. Each JSON line must match the schema. */
export function recordingTerminal({
  answer = false,
  line = '',
  schema = archiverLine as v.GenericSchema,
} = {}): {
  terminal: Terminal;
  result: CommandResult;
} {
  const result: CommandResult = { exitCode: -1, printed: '', noted: '', records: [], questions: [] };
  const terminal: Terminal = {
    json: true,
    columns: undefined,
    print: (...lines) => {
      for (const line of lines) result.printed += `${asStyled(line).plain}\n`;
    },
    record: (value) => {
      v.parse(schema, JSON.parse(JSON.stringify(value)));
      result.records.push({ ...value });
    },
    note: (...lines) => {
      for (const line of lines) result.noted += `${asStyled(line).plain}\n`;
    },
    progress: (describe) => ({ stop: () => void describe() }),
    paint: (_style, text) => asStyled(text),
    clear: () => undefined,
    confirm: async (question) => {
      result.questions.push(question);
      return answer;
    },
    ask: async (question) => {
      result.questions.push(question);
      return line;
    },
  };
  return { terminal, result };
}

export interface CommandOptions {
  answer?: boolean;
  /** What is typed when the command asks for a line. */
  line?: string;
  environment?: NodeJS.ProcessEnv;
  signal?: AbortSignal;
}

/** Creates a folder that is removed after the test. */
export async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'cli-test-'));
  onTestFinished(async () => {
    for (const made of [folder, `${folder}.catalogue`]) {
      await rm(made, { recursive: true, force: true, maxRetries: 3 });
    }
  });
  return folder;
}

/** Runs a command on a local archive's folder. */
export async function runOn(
  archive: string,
  command: (context: CommandContext) => Promise<number>,
  { answer, line, environment = {}, signal = new AbortController().signal }: CommandOptions = {},
): Promise<CommandResult> {
  const { terminal, result } = recordingTerminal({
    ...(answer !== undefined && { answer }),
    ...(line !== undefined && { line }),
  });
  const target = await localArchive({
    folder: archive,
    environment,
    time: systemTime,
  });
  try {
    result.exitCode = await command({ target, terminal, time: systemTime, random: Math.random, signal });
  } finally {
    await target.close();
  }
  return result;
}

/**
 * Starts a stack whose stand-in has these files. Nothing is archived until a test does so.
 *
 * @param files path in the folder → content
 */
export async function startArchive(files: Record<string, string>, options: Partial<StackOptions> = {}) {
  const archive = await newFolder();
  const documents = await newFolder();
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(documents, path)), { recursive: true });
    await writeFile(join(documents, path), content);
  }
  const stack = await startStack({
    archive,
    documents,
    events: false,
    timings: quickTimings,
    onLog: () => undefined,
    onProblem: () => undefined,
    version: 'test',
    time: systemTime,
    random: Math.random,
    ...options,
  });
  let stopped = false;
  const stop = async () => {
    if (!stopped) await stack.stop();
    stopped = true;
  };
  onTestFinished(stop);
  return {
    archive,
    stack,
    stop,
    run: (command: (context: CommandContext) => Promise<number>, commandOptions?: CommandOptions) =>
      runOn(archive, command, commandOptions),
    /** Archives all documents, or makes them dead letters. */
    archiveAll: async () => {
      await stack.discoverAll();
      await vi.waitFor(
        async () => {
          if ((await stack.messageCount()) > 0) throw new Error('Some messages are not processed yet.');
        },
        { timeout: 60_000, interval: 50 },
      );
    },
    ids: () => stack.standIn?.documents.all().map(({ id }) => id) ?? [],
  };
}
