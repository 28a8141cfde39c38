import {
  GetSecretValueCommand,
  SecretsManagerClient,
  type SecretsManagerClientConfig,
} from '@aws-sdk/client-secrets-manager';
import { createRequestHandler } from '../aws-requests.ts';
import { calls } from '../limits.ts';
import { systemTime } from '../time.ts';

/**
 * The Secrets Manager client; region, endpoint and credentials come from the environment.
 *
 * @param monotonic milliseconds; tells how long a connection was idle
 */
export function createSecretsClient(
  config: SecretsManagerClientConfig = {},
  monotonic = systemTime.monotonic,
): SecretsManagerClient {
  return new SecretsManagerClient({
    requestHandler: createRequestHandler({ requestTimeout: calls.secretMs }, monotonic),
    ...config,
  });
}

/** Returns a function that reads the API key's secret, for `createApiKey`, which converts its errors. */
export function readSecretOf(
  secrets: Pick<SecretsManagerClient, 'send'>,
  secretArn: string,
): () => Promise<string | undefined> {
  return async () => {
    const response = await secrets.send(new GetSecretValueCommand({ SecretId: secretArn }));
    return response.SecretString;
  };
}
