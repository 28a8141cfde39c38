import { createAgents } from '../../functions/connections.ts';
import { createHttpGet } from '../../functions/http.ts';
import { readSettings, serviceUrl, text } from '../../functions/settings.ts';
import { createApiKey } from '../../functions/telnyx/api-key.ts';
import { createTelnyxClient, type TelnyxClient } from '../../functions/telnyx/client.ts';
import type { Time } from '../../functions/time.ts';
import packageJson from '../../package.json' with { type: 'json' };

const agents = createAgents();

/**
 * Client for Telnyx's API with a given key.
 *
 * @param apiKey the key, or a function that reads it from its secret
 */
export function telnyxAt(
  baseUrl: URL,
  apiKey: string | (() => Promise<string | undefined>),
  time: Time,
): TelnyxClient {
  return createTelnyxClient({
    baseUrl,
    apiKey: createApiKey(typeof apiKey === 'string' ? async () => apiKey : apiKey, time),
    httpGet: createHttpGet(agents, packageJson.version),
    time,
  });
}

const settings = {
  apiKey: { variable: 'TELNYX_API_KEY', read: text },
  baseUrl: {
    variable: 'TELNYX_API_URL',
    read: serviceUrl,
    fallback: new URL('https://api.telnyx.com/v2'),
  },
};

/**
 * The URL that `TELNYX_API_KEY` is for: `TELNYX_API_URL`, or Telnyx's own.
 *
 * @throws SettingsError
 */
export function telnyxUrl(environment: NodeJS.ProcessEnv): URL {
  return readSettings({ baseUrl: settings.baseUrl }, environment).baseUrl;
}

/**
 * Client for the account whose key is in `TELNYX_API_KEY`. The deployed secret is not used, so that an operator does not
 * need permission to read it.
 *
 * @throws SettingsError if the variable is not set
 */
export function telnyxFromEnvironment(environment: NodeJS.ProcessEnv, time: Time): TelnyxClient {
  const { apiKey, baseUrl } = readSettings(settings, environment);
  return telnyxAt(baseUrl, apiKey, time);
}
