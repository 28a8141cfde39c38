/** Stands in for the SDK's Secrets Manager client in one container. */
import { GetSecretValueCommand, type SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { Account } from './account.ts';
import type { Container, Reply } from './container.ts';
import { serviceError } from './service-error.ts';
import { commandName } from './sqs-client.ts';
import type { Surroundings } from './surroundings.ts';

export function createSecrets(
  container: Container,
  account: Account,
  { random, watch, journal }: Surroundings,
): Pick<SecretsManagerClient, 'send'> {
  const send = (command: unknown) =>
    container.call(commandName(command), undefined, (reply: Reply<unknown>) => {
      if (!(command instanceof GetSecretValueCommand)) return watch.forbidden(commandName(command));
      if (container.strikes('secret-throttled')) {
        journal.note(container.id, 'secret-throttled');
        return reply.failing(serviceError('ThrottlingException', 400));
      }
      const key = account.secret.text;
      if (container.strikes('secret-garbled')) {
        const garbled = [`{"apiKey":"${key}"}`, '', undefined, ` ${key}\n`, `Bearer ${key}`, 'short'];
        journal.note(container.id, 'secret-garbled');
        return reply.with({ SecretString: random.pick(garbled) });
      }
      return reply.with({ SecretString: key });
    });
  return { send: send as unknown as SecretsManagerClient['send'] };
}
