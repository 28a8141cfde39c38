import { withDeadline } from '../../functions/time.ts';
import { formatCount } from '../../terminal/counts.ts';
import { styled } from '../../terminal/styled.ts';
import type { Style, Terminal } from '../../terminal/terminal.ts';
import { type ArchiverCommand, type CommandContext, UsageError } from '../command.ts';
import { type CommandHelp, findStackPermissions } from '../help.ts';
import { explain } from '../target/open.ts';
import type { Check, CheckName, CheckResult } from '../target/target.ts';

export interface DoctorOptions {
  /** Set off a test alarm. */
  ring?: boolean;
}

const help: CommandHelp = {
  text: `
Prints one line per check, and what to do about a problem. Run it before a deployment, for the account and its quotas;
after one; and after a change of keys, domains or permissions.

Changes nothing. The request with a wrong signature counts in the metric WebhooksRefused: three runs within 15 minutes
ring the alarm of that name.`,
  examples: [
    ['doctor', 'check the deployed archiver'],
    ['doctor --ring', 'also send a test alarm to everyone who is subscribed'],
    ['doctor --local archive', 'check a local archive and its running stack'],
  ],
  exitCodes: {
    0: 'no problems',
    1: 'problems found',
    3: 'no problems found, but some items could not be checked',
  },
  permissions: `
cloudformation:GetTemplate and ${findStackPermissions};
lambda:GetAccountSettings; s3:GetBucketObjectLockConfiguration; secretsmanager:GetSecretValue and kms:Decrypt;
scheduler:ListSchedules; sqs:GetQueueUrl and sqs:GetQueueAttributes; cloudwatch:GetMetricData; sns:ListSubscriptionsByTopic. --ring: cloudwatch:DescribeAlarms,
cloudwatch:DescribeAlarmHistory and cloudwatch:SetAlarmState. A check without its permission is not done.`,
};

export const doctorCommand: ArchiverCommand = {
  name: 'doctor',
  help,
  configure: (command) =>
    command
      .description('check account, API key, webhook, sweeps, audits and alarms, and say what to do')
      .option('--ring', 'set off the alarm WebhookSlow once, as a test of the notifications'),
  run: (context, parsed) => doctor(parsed.opts(), context),
};

/** Time of one check. A test alarm takes up to 30 s. */
const checkMs = 60_000;

/** @returns the exit code */
export async function doctor({ ring = false }: DoctorOptions, context: CommandContext): Promise<number> {
  const { target, terminal } = context;
  const checks = await target.checks({ ring });
  if (ring && !checks.some(({ name }) => name === 'test-alarm'))
    throw new UsageError('--ring requires a deployed archiver: a local archive has no alarms.');
  const states = new Map<CheckName, CheckResult['state']>();
  for (const check of checks) {
    const missing = check.needs.find((name) => states.get(name) !== 'ok');
    const result =
      missing === undefined
        ? await runCheck(check, context)
        : ({ state: 'not-checked', detail: `needs ${missing}` } as const);
    states.set(check.name, result.state);
    show(check.name, result, terminal);
  }
  const count = (state: CheckResult['state']) => [...states.values()].filter((one) => one === state).length;
  const end = { ok: count('ok'), problems: count('problem'), notChecked: count('not-checked') };
  terminal.record({ type: 'end', ...end });
  terminal.print(
    `${formatCount(end.problems, 'problem')} in ${formatCount(states.size, 'check')}${end.notChecked === 0 ? '' : `, ${end.notChecked} not checked`}`,
  );
  if (end.problems > 0) return 1;
  return end.notChecked > 0 ? 3 : 0;
}

async function runCheck(check: Check, { time, signal }: CommandContext): Promise<CheckResult> {
  const timedOut = () => new Error(`No result within ${checkMs / 1_000} s.`);
  try {
    return await withDeadline(time, checkMs, signal, timedOut, (limited) => check.run(limited));
  } catch (error) {
    signal.throwIfAborted();
    const [detail = '', ...advice] = explain(error);
    return {
      state: isAccessDenied(error) ? 'not-checked' : 'problem',
      detail,
      ...(advice.length > 0 && { advice: advice.join(' ') }),
    };
  }
}

/** Names of this error differ by service. */
function isAccessDenied(error: unknown): boolean {
  return error instanceof Error && /^(AccessDenied|AuthorizationError)/.test(error.name);
}

const labels: Record<CheckResult['state'], { text: string; style: Style }> = {
  ok: { text: 'ok         ', style: 'green' },
  problem: { text: 'problem    ', style: 'red' },
  'not-checked': { text: 'not checked', style: 'yellow' },
};
const nameWidth = 'alarm-subscription'.length;

function show(name: CheckName, result: CheckResult, terminal: Terminal): void {
  terminal.record({ type: 'check', name, ...result });
  const { text, style } = labels[result.state];
  terminal.print(styled`${terminal.paint(style, text)}  ${name.padEnd(nameWidth)}  ${result.detail}`);
  if (result.advice !== undefined) terminal.print(`  → ${result.advice}`);
}
