/** A real account at Telnyx: asked once before the start, and for the names of documents that failed. */
import { createAgents } from '../functions/connections.ts';
import { ArchiverError, type ErrorCode } from '../functions/errors.ts';
import { createHttpGet } from '../functions/http.ts';
import { createApiKey } from '../functions/telnyx/api-key.ts';
import { createTelnyxClient } from '../functions/telnyx/client.ts';
import { listDocuments } from '../functions/telnyx/lists.ts';
import type { Time } from '../functions/time.ts';

export interface TelnyxAccount {
  url: URL;
  apiKey: string;
  /**
   * Lists the documents of the last hour, so that a wrong key or address is reported before anything starts.
   *
   * @throws ArchiverError if that fails other than by a rate limit, or the signal's reason
   */
  check(signal: AbortSignal): Promise<void>;
  /** The file name of a document; undefined if Telnyx does not state it. */
  fileNameOf(documentId: string, signal: AbortSignal): Promise<string | undefined>;
}

const hourMs = 3_600_000;

export function openAccount(url: URL, apiKey: string, version: string, time: Time): TelnyxAccount {
  const client = createTelnyxClient({
    baseUrl: url,
    apiKey: createApiKey(async () => apiKey, time),
    httpGet: createHttpGet(createAgents(), version),
    time,
  });
  return {
    url,
    apiKey,
    check: async (signal) => {
      const listing = {
        get: async (path: string, query: URLSearchParams, gone: ErrorCode) =>
          (await client.get(path, query, gone, signal)).body,
      };
      const now = time.now();
      try {
        await listDocuments(listing, { after: now - hourMs, before: now }, 1);
      } catch (error) {
        // The functions wait until a rate limit has passed.
        if (error instanceof ArchiverError && error.code === 'RateLimited') return;
        throw error instanceof ArchiverError
          ? new ArchiverError(error.code, `${error.message} ${hintFor(error.code, url)}`, { cause: error })
          : error;
      }
    },
    fileNameOf: async (documentId, signal) => {
      try {
        return (await client.document(documentId, signal)).fileName;
      } catch (error) {
        // Telnyx no longer has the document, or does not respond in time.
        if (error instanceof ArchiverError || signal.aborted) return undefined;
        throw error;
      }
    },
  };
}

/** Where to look for the cause. The error's message says what is wrong. */
function hintFor(code: ErrorCode, url: URL): string {
  return code.startsWith('ApiKey')
    ? 'On this machine, the secret is the environment variable TELNYX_API_KEY.'
    : `Check --telnyx ${url.href} and the network.`;
}
