import type { FaultName } from './faults.ts';

/**
 * Bugs that the simulation must catch: each takes a guard out of functions/, as data. A fragment must occur exactly
 * once in its file, so that none of them can go stale without a test failing.
 */
interface Edit {
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
    'expected.sha256 !== undefined && digest !== expected.sha256',
    "digest === ''",
    { file: 'bucket/store.ts', fragment: '{ ChecksumSHA256: hexToBase64(sha256) }', replacement: '{}' },
  ),
  bug(
    'a download that ends early is not noticed',
    'archive/verifying-body.ts',
    'if (expected.bytes !== undefined && this.bytesReceived !== expected.bytes)',
    'if (this.bytesReceived < 0)',
  ),
  bug(
    'whatever stands at the key is believed to be the document',
    'archive/archive-document.ts',
    'if ((existing.sha256 ?? (await bucket.hash(key, signal))) === sha256) return existing;',
    'return existing;',
  ),
  bug(
    'an object without a stated digest is believed to be the document',
    'archive/archive-document.ts',
    'existing.sha256 ?? (await bucket.hash(key, signal))',
    'existing.sha256 ?? sha256',
  ),
  bug(
    'the receipt is written while the object is still on its way',
    'archive/archive-document.ts',
    `= await transfer(
    earlyLookup ?? lookUp(message.documentId, receive.signal, dependencies),
    receive.signal,
    dependencies,
  );`,
    `= await (async () => {
    const lookup = earlyLookup ?? lookUp(message.documentId, receive.signal, dependencies);
    const document = await lookup[0];
    transfer(lookup, receive.signal, dependencies).catch(() => undefined);
    const object = { bytes: document.bytes ?? 0, etag: undefined, versionId: undefined };
    return { document, object, sha256: document.sha256 ?? '' };
  })();`,
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
    "if (data.id !== id) throw unexpected('it is about another document');",
    '',
  ),
  bug(
    'a field that is not as specified costs the document',
    'telnyx/client.ts',
    'const { facts, malformed } = readFacts(data);',
    "const { facts, malformed } = readFacts(data);\n      if (malformed.length > 0) throw unexpected('a field');",
  ),
  bug(
    'the receipt holds the record as JSON.parse has rounded it',
    'telnyx/client.ts',
    'record: record.text, cut: record.cut',
    'record: JSON.stringify(JSON.parse(record.text)), cut: record.cut',
  ),
  bug(
    'a record of any size goes into the receipt',
    'telnyx/record.ts',
    'if (text.length <= recordBounds.characters && nestingOf(text) <= recordBounds.levels) {',
    'if (text.length > 0) {',
  ),
  bug(
    'a page of a gateway says that a document is gone',
    'telnyx/client.ts',
    '  if (codes.length === 0) {',
    "  if (status === 404) return new ArchiverError(gone, 'gone');\n  if (codes.length === 0) {",
  ),
  bug(
    'a gateway that forbids says that the API key is at fault',
    'telnyx/client.ts',
    '  if (codes.length === 0) {',
    "  if (status === 403) return new ArchiverError('ApiKeyForbidden', 'forbidden');\n  if (codes.length === 0) {",
  ),
  bug(
    'a success that is not 200 is a failure',
    'telnyx/client.ts',
    'status < 200 || status > 299',
    'status !== 200',
  ),
  bug(
    'a document of unknown length is put without one',
    'archive/archive-document.ts',
    '  if (bytes === undefined) {\n    // S3',
    "  if (bytes === undefined) throw new ArchiverError('DownloadRefused', 'no length');\n  if (bytes === undefined) {\n    // S3",
  ),
  bug('a digest in capitals is not understood', 'telnyx/record.ts', 'value.toLowerCase()', 'value'),

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
    'if (await processRecord(record, lane, signal, job, dependencies)) acknowledged',
    'await processRecord(record, lane, signal, job, dependencies);\n    acknowledged',
  ),
  bug(
    'a dead letter that could not be sent is acknowledged',
    'queue/batch.ts',
    'cause: nameOf(failure),\n    });\n    return false;',
    'cause: nameOf(failure),\n    });\n    return true;',
  ),
  bug(
    'what comes back later is acknowledged',
    'queue/batch.ts',
    'await returnToQueue(record, lane, decision.afterMs, dependencies);\n    return false;',
    'await returnToQueue(record, lane, decision.afterMs, dependencies);\n    return true;',
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
    'MessageBody: body',
    'MessageBody: letter.code',
  ),
  bug(
    'a message of an unknown kind is acknowledged',
    'errors.ts',
    "UnknownMessageKind: 'dead-letter'",
    "UnknownMessageKind: 'acknowledge'",
  ),
  bug(
    'a message that cannot be read is acknowledged',
    'errors.ts',
    "MalformedMessage: 'dead-letter'",
    "MalformedMessage: 'acknowledge'",
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
    "DocumentGone: 'acknowledge'",
  ),
  bug(
    'a bucket without permission fills the dead letters',
    'errors.ts',
    "BucketMisconfigured: 'wait'",
    "BucketMisconfigured: 'dead-letter'",
  ),
  bug(
    'a rejected API key fills the dead letters',
    'errors.ts',
    "ApiKeyRejected: 'wait'",
    "ApiKeyRejected: 'dead-letter'",
  ),
  bug(
    'a document is given up at its first failure',
    'queue/backoff.ts',
    'if (isDocumentFault && ageMs >= timings.documentFaultAfterMs)',
    "if (error.retryPolicy === 'retry')",
  ),
  bug(
    'a document is given up before it is ten minutes old',
    'queue/backoff.ts',
    'isDocumentFault && ageMs >= timings.documentFaultAfterMs',
    'isDocumentFault',
  ),
  bug(
    'a single attempt proves that a document is at fault',
    'retry.ts',
    'failures >= attempts.max && documentFaults === failures && startedAt - firstAt >= attemptsSpanMs',
    'documentFaults === failures',
    {
      file: 'archive/archive-document.ts',
      fragment: '    maxAttempts: attempts.max,',
      replacement: '    maxAttempts: 1,',
    },
  ),
  bug(
    'attempts at once prove that a document is at fault',
    'retry.ts',
    ' && startedAt - firstAt >= attemptsSpanMs',
    '',
    {
      file: 'archive/archive-document.ts',
      fragment: 'const spreadAttempts = receive.ageMs >= timings.documentFaultAfterMs;',
      replacement: 'const spreadAttempts = false;',
    },
  ),
  bug(
    "a document's own fault is never the end",
    'queue/backoff.ts',
    'if (isDocumentFault && ageMs >= timings.documentFaultAfterMs)',
    'if (ageMs < 0)',
  ),
  bug(
    'an outage of S3 fills the dead letters',
    'errors.ts',
    "BucketUnavailable: 'wait'",
    "BucketUnavailable: 'dead-letter'",
  ),
  bug(
    'what waits is kept until SQS deletes it',
    'queue/backoff.ts',
    'now + afterMs > sentAt + timings.deadLetterAfterMs',
    'afterMs < 0',
  ),
  {
    ...bug(
      'a body that leaves no room for attributes is not cut',
      'queue/dead-letter.ts',
      'truncateToBytes(letter.body, queues.messageBytes - attributeBytes)',
      'letter.body',
    ),
    provokedBy: ['message-huge'],
  },
  {
    ...bug(
      'a message holds characters that SQS refuses',
      'queue/serialise.ts',
      '/[\\ufffe\\uffff]/g',
      '/[\\u0000]/g',
    ),
    provokedBy: ['event-id-odd'],
  },
  bug(
    'a visibility timeout that cannot be changed fails the whole batch',
    'queue/batch.ts',
    "    log.warn('Visibility timeout not changed', {",
    "    if (error) throw error;\n    log.warn('Visibility timeout not changed', {",
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
    'pending = pending.filter((entry) => !accepted.has(entry.Id));',
    'pending = pending.filter(() => accepted.size < 0);',
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
    '      const batch = collected;\n      collected = new Map();',
    '      const batch = collected;',
  ),
  bug('discovery queues what has a receipt', 'bucket/unarchived.ts', 'first?.slice(0, -1)', 'first'),

  // What is found.
  bug(
    'only the first page of a list is read',
    'telnyx/pages.ts',
    'if (pageNumber > 1 && nothingNew) break;',
    'break;',
  ),
  bug(
    'a full page is taken for all there is',
    'telnyx/window.ts',
    'const full = page.length >= fullPage;',
    'const full = page.length > 1_000;',
  ),
  bug(
    'slices are asked for without an overlap',
    'telnyx/window.ts',
    '{ after: slice.from - second, before: slice.to + second }',
    '{ after: slice.from, before: slice.to }',
  ),
  bug(
    'an empty or repeated page is believed at once',
    'telnyx/confirm.ts',
    'if (page.length > 0 && !isSame(page, before)) return { page, nothingNew: false, matchesFilter: true };',
    'return { page, nothingNew: page.length === 0, matchesFilter: true };',
  ),
  {
    ...bug(
      'rows that were not asked for are believed',
      'telnyx/confirm.ts',
      'if (!page.every(belongs)) {',
      'if (page.length < 0) {',
    ),
    provokedBy: ['list-unfiltered'],
  },
  bug(
    'what sweeps have missed has no second chance',
    'discover/sweep.ts',
    '...(minute % sweep.second.everyMinutes === 0 ?',
    '...(minute < 0 ?',
  ),
  bug(
    'what sweeps have missed has no last chance on the next day',
    'discover/sweep.ts',
    'minute % sweep.nextDay.everyMinutes === 0 ? [band(sweep.nextDay)]',
    'minute < 0 ? [band(sweep.nextDay)]',
  ),
  bug('a sweep reads and queues nothing fresh', 'discover/sweep.ts', '    band(sweep.fresh),\n', ''),
  bug(
    "a sweep takes the container's clock for the time of its receive",
    'queue/batch.ts',
    'receiveCountOf(record) === 1 ? firstReceivedAt : Math.max(firstReceivedAt, time.now())',
    'time.now()',
    {
      file: 'discover/sweep.ts',
      fragment: 'return now - requested >',
      replacement: 'return 10 * (now - requested) >',
    },
  ),
  bug(
    'sweeps queue what the list shows to be infected',
    'discover/discover.ts',
    'band !== undefined && cannotBeArchived(candidate, dependencies)',
    'result.found < 0',
  ),
  {
    ...bug(
      'a low lane does not leave the rate limit alone',
      'telnyx/pacing.ts',
      'if (remaining > limit * pacing.liveShare + invocations) return;',
      'if (remaining >= 0) return;',
    ),
    provokedBy: ['telnyx-states-limit', 'operator-backfills-years'],
  },
  {
    ...bug(
      'a low lane asks many requests at a time',
      'telnyx/pacing.ts',
      'return limited ? oneAtATime(paced) : paced();',
      'return paced();',
    ),
    provokedBy: ['telnyx-states-limit', 'operator-backfills-years'],
  },
  bug(
    'receipts beyond the first page of a listing are not looked for',
    'bucket/unarchived.ts',
    'remaining: chunk.slice(next)',
    'remaining: []',
  ),
  bug(
    'a place of an order that fails hides what the others name',
    'discover/orders.ts',
    '      failures.push(error);',
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
  bug('a region in a host name is any label', 'limits.ts', "  '<region>.telnyxcloudstorage.com',\n", ''),
  bug(
    'links with user info are followed',
    'archive/download.ts',
    "  if (url.username !== '' || url.password !== '') throw notAllowed('it contains user info');\n",
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
    "  if (url.port !== '') throw notAllowed('it contains a port');\n",
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
    'if (response.status === 200) return response;',
    'if (response.status < 400) return response;',
  ),
  bug(
    'the words of others are quoted, and nothing is redacted',
    'redact.ts',
    'export function redact(value: string): string {',
    'export function redact(value: string): string {\n  if (value) return value;',
    {
      file: 'telnyx/client.ts',
      fragment: 'throw errorFor(response, errorCodesOf(text), { gone, refused }, time.now());',
      replacement: 'throw errorFor(response, [text], { gone, refused }, time.now());',
    },
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
    'if (response.status === 401 && errorCodesOf(text).length > 0) {',
    'if (response.status === 999) {',
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
    '    response.body.destroy();\n    throw statusError',
    '    throw statusError',
  ),
  bug(
    'the body of a download of the wrong length is left open',
    'archive/archive-document.ts',
    '    response.body.destroy();\n    throw error;',
    '    throw error;',
  ),
  bug(
    'a call is left running when its twin has failed',
    'archive/archive-document.ts',
    '  await Promise.allSettled(lookup);\n',
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
    'const checkIntervalMs = calls.downloadIdleMs / 4;',
    'const checkIntervalMs = calls.downloadIdleMs;',
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
    "log.count('ReceivesFailed', 1, { Code: error.code });",
    "log.count('ReceivesFailed', 1, { Code: 'Unexpected' });",
  ),
  bug('a refusal of S3 is not translated', 'bucket/store.ts', 'throw asBucketError(error);', 'throw error;'),
];
