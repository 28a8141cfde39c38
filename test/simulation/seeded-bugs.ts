import type { FaultName } from './faults.ts';

/**
 * Bugs that the simulation must catch: each takes a guard out of functions/, as data. A fragment must occur exactly
 * once in its file, so that none of them can go stale without a test failing.
 */
export interface Edit {
  /** Within functions/. */
  file: string;
  fragment: string;
  replacement: string;
}

export interface SeededBug {
  name: string;
  /** More than one where two guards stand behind each other. */
  edits: readonly Edit[];
  /** The only kinds of fault that strike then, where all of them together seldom bring the bug about. */
  provokedBy?: readonly FaultName[];
}

function bug(name: string, file: string, fragment: string, replacement: string, ...more: Edit[]): SeededBug {
  return { name, edits: [{ file, fragment, replacement }, ...more] };
}

export const seededBugs: readonly SeededBug[] = [
  // What is stored.
  bug('an object is put without If-None-Match', 'bucket/store.ts', "              IfNoneMatch: '*',\n", ''),
  bug(
    'the hash is neither compared nor sent',
    'archive/verifying-body.ts',
    'promised.sha256 !== undefined && digest !== promised.sha256',
    "digest === ''",
    { file: 'bucket/store.ts', fragment: '{ ChecksumSHA256: hexToBase64(sha256) }', replacement: '{}' },
  ),
  bug(
    'a download that ends early is not noticed',
    'archive/verifying-body.ts',
    'if (this.passed !== promised.bytes)',
    'if (this.passed < 0)',
  ),
  bug(
    'whatever stands at the key is believed to be the document',
    'archive/archive-document.ts',
    'if ((standing.sha256 ?? (await bucket.hash(key, signal))) === sha256) return standing;',
    'return standing;',
  ),
  bug(
    'an object without a stated digest is believed to be the document',
    'archive/archive-document.ts',
    'standing.sha256 ?? (await bucket.hash(key, signal))',
    'standing.sha256 ?? sha256',
  ),
  bug(
    'the receipt is written while the object is still on its way',
    'archive/archive-document.ts',
    'await transferWithRetries(message.documentId, receive, dependencies);\n  const written',
    `await (async () => {
    const document = await dependencies.telnyx.document(message.documentId, receive.signal);
    transferWithRetries(message.documentId, receive, dependencies).catch(() => undefined);
    const object = { bytes: document.bytes ?? 0, etag: undefined, versionId: undefined };
    return { document, object, sha256: document.sha256 ?? '' };
  })();
  const written`,
  ),
  bug(
    'the receipt names no version',
    'archive/archive-document.ts',
    'versionId: object.versionId,',
    'versionId: undefined,',
  ),
  bug(
    'the object is taken for the receipt',
    'bucket/receipts.ts',
    'bucket.head(receiptKey(documentId), signal)',
    "bucket.head('documents/' + documentId, signal)",
  ),
  bug(
    'infected documents are archived unasked',
    'archive/archive-document.ts',
    'document.infected && !archiveInfected',
    'document.infected && archiveInfected',
  ),
  bug(
    'there is no largest document',
    'archive/archive-document.ts',
    'if (bytes <= maxDocumentBytes) return;',
    'return;',
  ),
  bug(
    "another document's record is taken for this one's",
    'telnyx/client.ts',
    "if (data.id !== id) throw unexpected('it sent another document than was asked for');",
    '',
  ),
  bug('a digest in capitals is not understood', 'telnyx/client.ts', '  v.toLowerCase(),\n', ''),

  // What is acknowledged.
  bug(
    'the answer to a batch has a misspelt key',
    'queue/batch.ts',
    'batchItemFailures: event.Records',
    'batchItemFailure: event.Records',
  ),
  bug(
    'every record of a batch is acknowledged',
    'queue/batch.ts',
    'if (await isDone(record, lane, signal, job, dependencies)) done',
    'await isDone(record, lane, signal, job, dependencies);\n    done',
  ),
  bug(
    'a dead letter that could not be sent is acknowledged',
    'queue/batch.ts',
    '{ ...fields, cause: nameOf(failure) });\n    return false;',
    '{ ...fields, cause: nameOf(failure) });\n    return true;',
  ),
  bug(
    'what comes back later is acknowledged',
    'queue/batch.ts',
    'await returnLater(record, lane, decision.afterMs, dependencies);\n    return false;',
    'await returnLater(record, lane, decision.afterMs, dependencies);\n    return true;',
  ),
  bug(
    'a dead letter has no reason',
    'queue/dead-letter.ts',
    "      reason: { DataType: 'String', StringValue: redact(letter.reason) },\n",
    '',
  ),
  bug(
    'a dead letter has another body',
    'queue/dead-letter.ts',
    'MessageBody: letter.body',
    'MessageBody: letter.code',
  ),
  bug(
    'a message of an unknown kind is acknowledged',
    'errors.ts',
    "UnknownMessageKind: 'dead-letter'",
    "UnknownMessageKind: 'done'",
  ),
  bug(
    'a message that cannot be read is acknowledged',
    'errors.ts',
    "MalformedMessage: 'dead-letter'",
    "MalformedMessage: 'done'",
  ),
  bug(
    'a message of a later version is a dead letter at once',
    'errors.ts',
    "UnknownMessageVersion: 'retry'",
    "UnknownMessageVersion: 'dead-letter'",
  ),
  bug(
    'a document that is gone counts as done',
    'errors.ts',
    "DocumentGone: 'dead-letter'",
    "DocumentGone: 'done'",
  ),
  bug(
    'a bucket without permission fills the dead letters',
    'errors.ts',
    "BucketMisconfigured: 'wait'",
    "BucketMisconfigured: 'retry'",
  ),
  bug(
    'a rejected API key fills the dead letters',
    'errors.ts',
    "ApiKeyRejected: 'wait'",
    "ApiKeyRejected: 'dead-letter'",
  ),
  bug(
    'a message is given up at its first failure',
    'queue/backoff.ts',
    'if (received >= receives[error.fate])',
    'if (received >= 1)',
  ),
  bug(
    'a message is never given up',
    'queue/backoff.ts',
    'if (received >= receives[error.fate])',
    'if (received < 0)',
  ),
  bug(
    'a visibility timeout that cannot be changed fails the whole batch',
    'queue/batch.ts',
    "    log.warn('Visibility not changed', {",
    "    if (error) throw error;\n    log.warn('Visibility not changed', {",
  ),
  bug(
    'visibility timeouts are in milliseconds',
    'queue/batch.ts',
    'VisibilityTimeout: Math.ceil(afterMs / 1_000)',
    'VisibilityTimeout: Math.ceil(afterMs)',
  ),
  bug(
    'visibility timeouts are fractions',
    'queue/batch.ts',
    'VisibilityTimeout: Math.ceil(afterMs / 1_000)',
    'VisibilityTimeout: afterMs / 1_000',
  ),

  // What is queued.
  bug(
    'entries that SQS reports as failed are forgotten',
    'queue/send.ts',
    'pending = pending.filter((entry) => !taken.has(entry.Id));',
    'pending = pending.filter(() => taken.size < 0);',
  ),
  bug('a send that fails is taken for a success', 'queue/send.ts', 'if (failed) throw failed.reason;', ''),
  bug(
    'a webhook is accepted although nothing could be queued',
    'webhook/handler.ts',
    '    return 503;',
    '    return 200;',
  ),
  bug(
    'a webhook is accepted before its documents are queued',
    'webhook/handler.ts',
    'await send(documentsQueueUrl, documents, signal);',
    'send(documentsQueueUrl, documents, signal).catch(() => undefined);',
  ),
  bug(
    'the orders of an event are not queued',
    'webhook/handler.ts',
    '      await send(discoveryQueueUrl, discovery, signal);\n',
    '',
  ),
  bug(
    'a comment is looked up by its own id instead of its order',
    'webhook/events.ts',
    "'porting_order.new_comment': (payload) => ({ portingOrders: [field(payload, 'porting_order_id')] }),\n",
    '',
  ),
  bug(
    'an event without its envelope is not understood',
    'webhook/events.ts',
    "field(body, 'data') ?? body",
    "field(body, 'data')",
  ),
  bug(
    'a span goes to the live lane',
    'discover/discover.ts',
    'queueUrl: backfillQueueUrl,\n        trigger',
    'queueUrl: documentsQueueUrl,\n        trigger',
  ),
  bug(
    'discovery queues again what bucket or queue have failed',
    'discover/discover.ts',
    '    const taken = gathered;\n    gathered = new Map();',
    '    const taken = gathered;',
  ),
  bug('discovery queues what has a receipt', 'discover/unarchived.ts', 'first?.slice(0, -1)', 'first'),

  // What is found.
  bug(
    'only the first page of a list is read',
    'discover/pages.ts',
    'if (pageNumber > 1 && nothingNew) break;',
    'break;',
  ),
  bug(
    'a full page is taken for all there is',
    'discover/window.ts',
    'const full = page.length >= fullPage;',
    'const full = page.length > 1_000;',
  ),
  bug(
    'slices are asked for without an overlap',
    'discover/window.ts',
    '{ after: slice.from - second, before: slice.to + second }',
    '{ after: slice.from, before: slice.to }',
  ),
  bug(
    'an empty or repeated page is believed at once',
    'discover/believe.ts',
    'if (page.length > 0 && !isSame(page, before)) return { page, nothingNew: false, heeded: true };',
    'return { page, nothingNew: page.length === 0, heeded: true };',
  ),
  bug(
    'rows that were not asked for are believed',
    'discover/believe.ts',
    'if (!page.every(belongs)) {',
    'if (page.length < 0) {',
  ),
  bug(
    'a sweep does not look back',
    'discover/discover.ts',
    'from: requested - lookBackMs',
    'from: requested - sweepIntervalMs',
  ),
  bug(
    'no sweep reaches back over a day',
    'discover/discover.ts',
    'requested % hourMs < sweepIntervalMs',
    'requested % hourMs < 0',
  ),
  bug(
    'receipts beyond the first page of a listing are not looked for',
    'discover/unarchived.ts',
    'unsettled: run.slice(next)',
    'unsettled: []',
  ),
  bug(
    'documents of an order that is gone are not looked for elsewhere',
    'discover/orders.ts',
    '      gone = error;',
    '      throw error;',
  ),
  bug(
    'requirements of every type are taken for documents or none is',
    'telnyx/lists.ts',
    "requirement.field_type === 'document' ?",
    "requirement.field_type === 'file' ?",
  ),

  // Who is believed.
  bug(
    'a low-order point is taken for a public key',
    'webhook/verify.ts',
    'if (isLowOrder(bytes)) {',
    'if (bytes.length === 0) {',
  ),
  bug(
    'a signature may be of any age',
    'webhook/verify.ts',
    'Math.abs(nowMs / 1_000 - Number(timestamp)) > toleranceSeconds',
    'Number(timestamp) < 0',
  ),
  bug(
    'a signature may be ahead of time',
    'webhook/verify.ts',
    'Math.abs(nowMs / 1_000 - Number(timestamp))',
    '(nowMs / 1_000 - Number(timestamp))',
  ),
  bug(
    'a signature is looked at but not verified',
    'webhook/verify.ts',
    '!publicKeys.some((key) => verifySignature(null, signed, key, signatureBytes))',
    'publicKeys.length === 0',
  ),
  bug(
    'the timestamp is not part of what is verified',
    'webhook/verify.ts',
    'const signed = Buffer.concat([',
    'const signed = Buffer.concat([rawBody]);\n  Buffer.concat([',
  ),
  bug(
    'a body in base64 is verified as it stands',
    'webhook/handler.ts',
    "event.isBase64Encoded ? 'base64' : 'utf8'",
    "'utf8'",
  ),

  // Where it goes, and what it shows.
  bug(
    'links are followed anywhere',
    'archive/download.ts',
    'const url = allowedUrl(link, policy);',
    'const url = new URL(link);',
  ),
  bug(
    'links with user info are followed',
    'archive/download.ts',
    "  if (url.username !== '' || url.password !== '') throw notAllowed('it holds user info');\n",
    '',
  ),
  bug(
    'links over plain http are followed',
    'archive/download.ts',
    "  if (url.protocol !== 'https:') throw notAllowed('it is not https');\n",
    '',
  ),
  bug(
    'links to any port are followed',
    'archive/download.ts',
    "  if (url.port !== '') throw notAllowed('it names a port');\n",
    '',
  ),
  bug(
    'an authorization is sent to the storage',
    'archive/download.ts',
    "headers: { 'accept-encoding': 'identity' }",
    "headers: { 'accept-encoding': 'identity', authorization: 'Bearer' }",
  ),
  bug(
    'a redirect is taken for the document',
    'archive/download.ts',
    'if (answer.status === 200) return answer;',
    'if (answer.status < 400) return answer;',
  ),
  bug(
    'nothing is redacted',
    'log.ts',
    'export function redact(value: string): string {',
    'export function redact(value: string): string {\n  if (value) return value;',
  ),

  // What is remembered, and what is left behind.
  bug(
    'a failed read of the API key is remembered',
    'telnyx/api-key.ts',
    'if (reading === started) reading = undefined;',
    '',
  ),
  bug(
    'a refused API key is not read afresh',
    'telnyx/client.ts',
    'if (answer.status === 401) {',
    'if (answer.status === 999) {',
  ),
  bug(
    'the timer of a deadline is left running',
    'time.ts',
    '    cancel();\n    parent.removeEventListener',
    '    parent.removeEventListener',
  ),
  bug(
    'the body of a refused download is left open',
    'archive/download.ts',
    '    answer.body.destroy();\n    throw refusal',
    '    throw refusal',
  ),
  bug(
    'the body of a download of the wrong length is left open',
    'archive/archive-document.ts',
    '    answer.body.destroy();\n    throw error;',
    '    throw error;',
  ),
  bug(
    'a call is left running when its twin has failed',
    'archive/archive-document.ts',
    '  await Promise.allSettled(asked);\n',
    '',
  ),
  {
    ...bug(
      'an upload under way outlives its invocation',
      'archive/copy.ts',
      'AbortSignal.any([signal, upload.signal])',
      'upload.signal',
    ),
    provokedBy: ['s3-stalls', 'lambda-throttled', 'lambda-answer-lost', 'download-drips'],
  },
  bug(
    'a stalled download is found out later than S3 gives up',
    'archive/copy.ts',
    'const lookEveryMs = calls.downloadIdleMs / 4;',
    'const lookEveryMs = calls.downloadIdleMs;',
  ),
  bug(
    'nobody watches a download that stalls',
    'archive/copy.ts',
    'const stopWatching = watchForStall(body, time);',
    'const stopWatching = () => undefined;',
  ),
  bug(
    'an invocation works until its limit',
    'archive/handler.ts',
    'context.getRemainingTimeInMillis() - timeouts.reserveMs',
    'context.getRemainingTimeInMillis()',
  ),
  bug(
    'SQS may take its time over a webhook',
    'webhook/handler.ts',
    'withDeadline(time, calls.webhookMs,',
    'withDeadline(time, 10 * calls.webhookMs,',
  ),
  bug(
    'a document is counted twice',
    'archive/handler.ts',
    "  log.count('DocumentsArchived');\n",
    "  log.count('DocumentsArchived', 2);\n",
  ),
  bug(
    'a failure is counted under another code',
    'queue/batch.ts',
    "log.count('ReceivesFailed', 1, error.code);",
    "log.count('ReceivesFailed', 1, 'Unexpected');",
  ),
  bug('a refusal of S3 is not translated', 'bucket/store.ts', 'throw asBucketError(error);', 'throw error;'),
];
