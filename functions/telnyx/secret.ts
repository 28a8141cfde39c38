import { GetSecretValueCommand, type SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { calls } from '../limits.ts';

/** Reads the API key's secret; to be given to `createApiKey`, which translates what goes wrong. */
export function readSecretOf(
  secrets: Pick<SecretsManagerClient, 'send'>,
  secretArn: string,
): () => Promise<string | undefined> {
  return async () => {
    const answer = await secrets.send(new GetSecretValueCommand({ SecretId: secretArn }), {
      requestTimeout: calls.secretMs,
    });
    return answer.SecretString;
  };
}
