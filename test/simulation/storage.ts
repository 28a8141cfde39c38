/** Telnyx's storage behind the presigned links, as one container reaches it. */
import type { HttpGet, HttpResponse } from '../../functions/http.ts';
import type { Account, AccountDocument } from './account.ts';
import { type BodyPlan, createAnswer } from './body.ts';
import { type Container, connectionReset, type Reply } from './container.ts';
import { flipped } from './s3-client.ts';
import type { Surroundings } from './surroundings.ts';

const errorPage = Buffer.from('<?xml version="1.0"?><Error><Code>InternalError</Code></Error>');

/** Of faults that change the bytes, only those of which Telnyx's record lets anybody notice. */
const download = [
  'download-redirected',
  'download-refused',
  'download-missing',
  'download-stalls-at-once',
  'download-stalls',
  'download-resets',
  'download-cut',
  'download-too-long',
  'download-length-wrong',
  'download-bit-flipped',
  'download-is-error-page',
  'download-without-length',
  'download-drips',
] as const;
type DownloadFault = (typeof download)[number];

function isNoticeable(fault: DownloadFault, { statesDigest, statesSize, bytes }: AccountDocument): boolean {
  switch (fault) {
    case 'download-cut':
      return statesSize && bytes.length > 0;
    case 'download-too-long':
    case 'download-length-wrong':
      return statesSize;
    case 'download-bit-flipped':
      return statesDigest && bytes.length > 0;
    case 'download-is-error-page':
      return statesDigest || (statesSize && bytes.length !== errorPage.length);
    default:
      return true;
  }
}

export function createStorage(
  container: Container,
  account: Account,
  { clock, random, weather, journal, watch }: Surroundings,
): HttpGet {
  return (url, { headers, signal }) =>
    container.call('GET of the storage', signal, (reply: Reply<HttpResponse>) => {
      watch.requested(url, headers, 'storage');
      const say = (status: number, more: Record<string, string>, plan: BodyPlan) =>
        reply.making(() => createAnswer(status, more, plan, { container, clock, signal }));
      const document = account.behind(url, clock.now());
      if (!document) {
        container.suffers('link-expired');
        return say(403, {}, { chunks: [Buffer.from('<Error><Code>AccessDenied</Code></Error>')] });
      }
      if (document.deadly && !weather.isClear) {
        weather.counted('document-kills-function');
        container.kill(`of document ${document.id}`);
        return;
      }
      const fault = download.find((name) => isNoticeable(name, document) && container.strikes(name));
      if (fault) journal.note(document.id, `${fault} in ${container.id}`);
      if (fault === 'download-stalls-at-once') return;
      if (fault === 'download-redirected') {
        return say(302, { location: 'https://evil.example/' }, { chunks: [] });
      }
      if (fault === 'download-refused') {
        return say(random.pick([500, 503]), {}, { chunks: [errorPage] });
      }
      if (fault === 'download-missing') {
        return say(random.pick([400, 404]), {}, { chunks: [errorPage] });
      }
      const { bytes, length, plan } = transfer(fault, document);
      say(200, length === undefined ? {} : { 'content-length': String(length) }, {
        chunks: random.chance(0.7) || bytes.length < 2 ? [bytes] : inPieces(bytes),
        ...plan,
      });
    });

  function transfer(
    fault: DownloadFault | undefined,
    { bytes }: AccountDocument,
  ): { bytes: Buffer; length: number | undefined; plan: Partial<BodyPlan> } {
    const length = bytes.length;
    const part = bytes.subarray(0, Math.floor(length * random.next()));
    switch (fault) {
      case 'download-stalls':
        return { bytes: part, length, plan: { ends: 'stall' } };
      case 'download-resets':
        return { bytes: part, length, plan: { ends: connectionReset() } };
      case 'download-cut':
        return { bytes: part, length: undefined, plan: {} };
      case 'download-too-long':
        return { bytes: Buffer.concat([bytes, Buffer.from('more')]), length: undefined, plan: {} };
      case 'download-length-wrong':
        return { bytes, length: length + random.pick([-1, 1, 1_000_000]), plan: {} };
      case 'download-bit-flipped':
        return { bytes: flipped(bytes, random.integer(0, 7)), length, plan: {} };
      case 'download-is-error-page':
        return { bytes: errorPage, length: errorPage.length, plan: {} };
      case 'download-without-length':
        return { bytes, length: undefined, plan: {} };
      case 'download-drips':
        return { bytes, length, plan: { pauseMs: random.between(100, 4_000) } };
      default:
        return { bytes, length, plan: {} };
    }
  }

  function inPieces(bytes: Buffer): Buffer[] {
    const piece = Math.max(1, Math.ceil(bytes.length / random.integer(2, 6)));
    const pieces: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += piece) pieces.push(bytes.subarray(at, at + piece));
    return pieces;
  }
}
