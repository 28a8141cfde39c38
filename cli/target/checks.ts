/** Results of checks, and the checks that a deployed and a local archiver share. */
import { randomBytes } from 'node:crypto';
import { nameOf } from '../../functions/errors.ts';
import type { TelnyxClient } from '../../functions/telnyx/client.ts';
import type { Time } from '../../functions/time.ts';
import { formatDuration } from '../../terminal/durations.ts';
import type { CheckResult, Metrics } from './target.ts';

export function ok(detail: string): CheckResult {
  return { state: 'ok', detail };
}

export function problem(detail: string, advice: string): CheckResult {
  return { state: 'problem', detail, advice };
}

export function notChecked(detail: string, advice?: string): CheckResult {
  return { state: 'not-checked', detail, ...(advice !== undefined && { advice }) };
}

/** As the alarm `SweepMissing`: two periods of five minutes. */
const sweepOverdueMs = 10 * 60_000;

export async function checkSweep(metrics: Metrics, time: Time): Promise<CheckResult> {
  const now = time.now();
  const latest = await metrics.latest('SweepsCompleted', now - 3 * 3_600_000);
  if (latest !== undefined && now - latest <= sweepOverdueMs) {
    return ok(`the last one completed ${formatDuration(Math.max(0, now - latest) / 1_000)} ago`);
  }
  return problem(
    latest === undefined
      ? 'none completed within the last 3 hours'
      : `the last one completed ${formatDuration((now - latest) / 1_000)} ago`,
    'After a first deployment or a start, wait ten minutes and check again. Otherwise see docs/runbook.md#sweepmissing.',
  );
}

/**
 * Requests one row of Telnyx's list of documents.
 *
 * @throws ArchiverError those of `TelnyxClient.get`
 */
export async function requestList(telnyx: TelnyxClient, signal: AbortSignal): Promise<void> {
  await telnyx.get('documents', new URLSearchParams({ 'page[size]': '1' }), 'UnexpectedResponse', signal);
}

/** Sends a request with a random signature, which the webhook must refuse. It counts in `WebhooksRefused`. */
export async function checkWebhook(url: string, time: Time, signal: AbortSignal): Promise<CheckResult> {
  let status: number;
  try {
    const response = await fetch(url, {
      method: 'POST',
      // A redirect would lead the events elsewhere.
      redirect: 'manual',
      headers: {
        'content-type': 'application/json',
        'telnyx-timestamp': String(Math.floor(time.now() / 1_000)),
        'telnyx-signature-ed25519': randomBytes(64).toString('base64'),
      },
      body: '{}',
      signal,
    });
    await response.body?.cancel();
    status = response.status;
  } catch (error) {
    return unreachable(
      url,
      error,
      signal,
      'Check the DNS record of a custom domain, and proxies in between.',
    );
  }
  if (status === 401) return ok(`${url} refuses a wrong signature`);
  if (status === 503) {
    return problem(
      `${url} returned 503: it has no public key`,
      'Set telnyxPublicKeys in stage.json and deploy again.',
    );
  }
  if (status >= 200 && status < 300) {
    return problem(
      `${url} returned ${status} for a wrong signature`,
      'Do not use this URL at Telnyx: what responds is not this archiver, or it does not verify events.',
    );
  }
  return problem(
    `${url} returned ${status} for a wrong signature, not 401`,
    'Check what responds at this URL. For 500, see docs/runbook.md#webhookerrors.',
  );
}

/** AWS refuses requests whose time differs by five minutes, and the webhook refuses such events. */
const maxClockDifferenceMs = 60_000;

/** Compares the clock of this machine with the `Date` header of Telnyx's API, which needs no API key. */
export async function checkClock(url: URL, time: Time, signal: AbortSignal): Promise<CheckResult> {
  let date: string | null;
  const before = time.now();
  try {
    const response = await fetch(url, { method: 'HEAD', redirect: 'manual', signal });
    date = response.headers.get('date');
  } catch (error) {
    return unreachable(url.host, error, signal, 'Check the network, and proxies in between.');
  }
  const stated = Date.parse(date ?? '');
  if (Number.isNaN(stated)) return notChecked(`${url.host} states no date`);
  // The header has whole seconds, and was written at some time during the request.
  const differenceMs = Math.max(0, before - (stated + 1_000), stated - time.now());
  if (differenceMs <= maxClockDifferenceMs) return ok(`agrees with ${url.host}`);
  return problem(
    `differs by ${formatDuration(differenceMs / 1_000)} from the clock of ${url.host}`,
    'Set the clock of this machine, for example by NTP.',
  );
}

function unreachable(place: string, error: unknown, signal: AbortSignal, advice: string): CheckResult {
  signal.throwIfAborted();
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return problem(`no response from ${place} (${nameOf(cause)})`, advice);
}
