/** A fake of the SDK's Secrets Manager client for one container. */
import { GetSecretValueCommand, type SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { serviceError } from '../fakes/service-error.ts';
import type { Account } from './account.ts';
import type { Container, Reply } from './container.ts';
import type { SimulationContext } from './context.ts';
import { commandName } from './sqs-client.ts';

export function createSecrets(
  container: Container,
  account: Account,
  { random, monitor, eventLog }: SimulationContext,
): Pick<SecretsManagerClient, 'send'> {
  const send = (command: unknown) =>
    container.call(commandName(command), undefined, (reply: Reply<unknown>) => {
      if (!(command instanceof GetSecretValueCommand)) return monitor.forbidden(commandName(command));
      if (container.shouldInject('secret-throttled')) {
        eventLog.add(container.id, 'secret-throttled');
        return reply.fail(serviceError('ThrottlingException', 400));
      }
      const key = account.secret.text;
      if (container.shouldInject('secret-malformed')) {
        const malformedRow = [`{"apiKey":"${key}"}`, '', undefined, ` ${key}\n`, `Bearer ${key}`, 'short'];
        eventLog.add(container.id, 'secret-malformed');
        return reply.succeed({ SecretString: random.pick(malformedRow) });
      }
      return reply.succeed({ SecretString: key });
    });
  return { send: send as unknown as SecretsManagerClient['send'] };
}
