/** The CloudFormation stacks of a deployed archiver, and what their outputs say. */
import {
  type CloudFormationClient,
  DescribeStacksCommand,
  paginateListExports,
  type Stack,
} from '@aws-sdk/client-cloudformation';
import { lazy } from '../lazy.ts';

/** Outputs that the commands read, each with the part that has it. Each is exported as `<name>:<output>`. */
export const stackOutputs = {
  ArchiveBucketName: 'storage',
  CatalogueBucketName: 'storage',
  StoreApiKey: 'storage',
  WebhookUrl: 'pipeline',
  AlarmTopicArn: 'pipeline',
  /** Only if the stage has a `runbookUrl`. */
  RunbookUrl: 'pipeline',
} as const;

type OutputName = keyof typeof stackOutputs;
type StackPart = (typeof stackOutputs)[OutputName];

export interface DeployedStacks {
  /** The stack with this part of the archiver; undefined if it is not deployed. */
  find(part: StackPart): Promise<Stack | undefined>;
  /** Undefined if the part is not deployed, or has no such output. */
  output(name: OutputName): Promise<string | undefined>;
  /** @throws Error if the part is not deployed, or has no such output */
  requireOutput(name: OutputName): Promise<string>;
}

/**
 * This repository's app deploys `<name>-storage` and `<name>-pipeline`. Another CDK app has both parts in a stack of any
 * name, which the name of an export finds: it is unique in an account and Region.
 */
export function deployedStacks(cloudFormation: CloudFormationClient, archiverName: string): DeployedStacks {
  const find = async (part: StackPart, anOutput: OutputName) =>
    (await findStack(cloudFormation, `${archiverName}-${part}`)) ??
    (await exportingStack(cloudFormation, `${archiverName}:${anOutput}`));
  const parts = {
    storage: lazy(() => find('storage', 'ArchiveBucketName')),
    pipeline: lazy(() => find('pipeline', 'WebhookUrl')),
  };
  const output = async (name: OutputName) => {
    const stack = await parts[stackOutputs[name]]();
    // Version 0.1.0 has no exports. In another app's stack, an output with this key may be the app's own.
    const isOwnStack = stack?.StackName === `${archiverName}-${stackOutputs[name]}`;
    return stack?.Outputs?.find(
      ({ OutputKey, ExportName }) =>
        ExportName === `${archiverName}:${name}` || (isOwnStack && OutputKey === name),
    )?.OutputValue;
  };
  return {
    find: (part) => parts[part](),
    output,
    requireOutput: async (name) => {
      const value = await output(name);
      if (value !== undefined) return value;
      const stack = await parts[stackOutputs[name]]();
      if (stack !== undefined)
        throw new Error(`The stack ${stack.StackName} has no output ${name}. Deploy again.`);
      throw new Error(
        `There is no stack ${archiverName}-${stackOutputs[name]}, and no stack exports ${archiverName}:${name}. Check that --stack is the \`name\` that was deployed, and that AWS_REGION is its Region.`,
      );
    },
  };
}

/** The secret in the command of the output `StoreApiKey`. Another app's stack may have other secrets. */
export function secretIdIn(storeApiKey: string): string {
  const id = / --secret-id (\S+)/.exec(storeApiKey)?.[1];
  if (id !== undefined) return id;
  throw new Error('The output StoreApiKey names no secret. Deploy again.');
}

/** @returns undefined if there is no such stack */
export async function findStack(
  cloudFormation: CloudFormationClient,
  nameOrId: string,
): Promise<Stack | undefined> {
  try {
    const { Stacks } = await cloudFormation.send(new DescribeStacksCommand({ StackName: nameOrId }));
    return Stacks?.[0];
  } catch (error) {
    // CloudFormation has no error of its own for this (AWS CloudFormation API reference, DescribeStacks).
    if (error instanceof Error && error.name === 'ValidationError' && /does not exist/.test(error.message))
      return undefined;
    throw error;
  }
}

async function exportingStack(
  cloudFormation: CloudFormationClient,
  exportName: string,
): Promise<Stack | undefined> {
  for await (const { Exports = [] } of paginateListExports({ client: cloudFormation }, {})) {
    const found = Exports.find(({ Name }) => Name === exportName);
    if (found?.ExportingStackId !== undefined) return await findStack(cloudFormation, found.ExportingStackId);
  }
  return undefined;
}
