/** The storage behind Telnyx's download links, for one container. */
import type { HttpGet, HttpResponse } from '../../functions/http.ts';
import type { Account, AccountDocument } from './account.ts';
import { type BodyPlan, createAnswer } from './body.ts';
import { type Container, connectionReset, type Reply } from './container.ts';
import type { SimulationContext } from './context.ts';
import { flipped } from './s3-client.ts';

const errorPage = Buffer.from('<?xml version="1.0"?><Error><Code>InternalError</Code></Error>');

/** A fault that changes the bytes is injected only if Telnyx's record makes it detectable: see `isDetectable`. */
const downloadFaults = [
  'download-redirected',
  'download-server-error',
  'download-client-error',
  'download-no-response',
  'download-body-stalls',
  'download-connection-reset',
  'download-truncated',
  'download-too-long',
  'download-length-wrong',
  'download-bit-flipped',
  'download-is-error-page',
  'download-without-length',
  'download-slow',
] as const;
type DownloadFault = (typeof downloadFaults)[number];

function isDetectable(fault: DownloadFault, { statesDigest, statesSize, bytes }: AccountDocument): boolean {
  switch (fault) {
    case 'download-truncated':
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
  { clock, random, injector, eventLog, monitor }: SimulationContext,
): HttpGet {
  return (url, { headers, signal }) =>
    container.call('GET from the storage', signal, (reply: Reply<HttpResponse>) => {
      monitor.requested(url, headers, 'storage');
      const respond = (status: number, more: Record<string, string>, plan: BodyPlan) =>
        reply.succeedWith(() => createAnswer(status, more, plan, { container, clock, signal }));
      const document = account.documentOfLink(url, clock.now());
      if (!document) {
        container.recordCause('link-expired');
        return respond(403, {}, { chunks: [Buffer.from('<Error><Code>AccessDenied</Code></Error>')] });
      }
      if (document.crashesFunction && !injector.isStopped) {
        injector.count('document-kills-function');
        container.kill(`while reading document ${document.id}`);
        return;
      }
      const fault = downloadFaults.find(
        (name) => isDetectable(name, document) && container.shouldInject(name),
      );
      if (fault) eventLog.add(document.id, `${fault} in ${container.id}`);
      if (fault === 'download-no-response') return;
      if (fault === 'download-redirected') {
        return respond(302, { location: 'https://evil.example/' }, { chunks: [] });
      }
      if (fault === 'download-server-error') {
        return respond(random.pick([500, 503]), {}, { chunks: [errorPage] });
      }
      if (fault === 'download-client-error') {
        return respond(random.pick([400, 404]), {}, { chunks: [errorPage] });
      }
      const { bytes, length, plan } = transfer(fault, document);
      respond(200, length === undefined ? {} : { 'content-length': String(length) }, {
        chunks: random.chance(0.7) || bytes.length < 2 ? [bytes] : inPieces(bytes),
        ...plan,
      });
    });

  function transfer(
    fault: DownloadFault | undefined,
    { bytes }: AccountDocument,
  ): { bytes: Buffer; length: number | undefined; plan: Partial<BodyPlan> } {
    const length = bytes.length;
    const truncated = bytes.subarray(0, Math.floor(length * random.next()));
    switch (fault) {
      case 'download-body-stalls':
        return { bytes: truncated, length, plan: { ends: 'stall' } };
      case 'download-connection-reset':
        return { bytes: truncated, length, plan: { ends: connectionReset() } };
      case 'download-truncated':
        return { bytes: truncated, length: undefined, plan: {} };
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
      case 'download-slow':
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
