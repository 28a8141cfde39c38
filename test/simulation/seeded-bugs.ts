import type { FaultName } from './faults.ts';

/**
 * A text replacement in `functions/` or in `cli/erasure/`. The fragment must occur exactly once in its file: otherwise a test fails, so that
 * no bug becomes outdated unnoticed.
 */
interface Edit {
  /** Path within `functions/`, or one that begins with `cli/`. */
  file: string;
  fragment: string;
  replacement: string;
}

export interface SeededBug {
  name: string;
  /** More than one if two guards cover the same failure. */
  edits: readonly Edit[];
  /** The only kinds of fault to inject, if the bug seldom has an effect under all of them. */
  onlyFaults?: readonly FaultName[];
}

function bug(name: string, file: string, fragment: string, replacement: string, ...more: Edit[]): SeededBug {
  return { name, edits: [{ file, fragment, replacement }, ...more] };
}

/** Bugs of erasures and holds. */
export const erasureBugs: readonly SeededBug[] = [
  bug(
    'noncurrent versions are not deleted',
    'cli/erasure/examine.ts',
    '.filter(({ isLatest }) => !(isLatest && tombstone))',
    '.filter(({ isLatest }) => isLatest && !tombstone)',
  ),
  bug(
    'the latest version is deleted as well, which is the tombstone',
    'cli/erasure/examine.ts',
    '.filter(({ isLatest }) => !(isLatest && tombstone))',
    '',
  ),
  bug(
    'the first tombstone is written at the key of the object',
    'cli/erasure/erase-document.ts',
    'const isWritten =',
    'await replaceObject(tombstone, { bucket, retry });\n  const isWritten =',
  ),
  bug(
    'an erasure ends without the listing that proves it',
    'cli/erasure/erase-document.ts',
    `await deleteVersions(found, order, deleted, dependencies);
    if (unfinished) return`,
    `await deleteVersions({ ...found, versions: first.versions }, order, deleted, dependencies);
    return`,
  ),
  {
    ...bug(
      'a tombstone states what was there before the operator confirmed',
      'cli/erasure/erase-document.ts',
      'replaceReceipt(found, order, dependencies)',
      'replaceReceipt({ ...found, found: first.found }, order, dependencies)',
    ),
    onlyFaults: ['operator-erases-document-under-way'],
  },
  {
    ...bug(
      'a tombstone at the key of a document counts as other bytes',
      'archive/archive-document.ts',
      "const isErased = async () => (await receipts.state(document.id, signal)) === 'erased';",
      'const isErased = async () => false;',
    ),
    onlyFaults: ['operator-erases-document-under-way', 'download-slow'],
  },
  {
    ...bug(
      'a late delivery replaces a tombstone',
      'bucket/receipts.ts',
      "return existing && (existing.state ?? 'archived');",
      "return existing?.state ? undefined : existing && 'archived';",
      {
        file: 'bucket/store.ts',
        fragment: "put(object, { IfNoneMatch: '*' }, signal)",
        replacement: 'put(object, {}, signal)',
      },
    ),
    onlyFaults: ['operator-erases-document'],
  },
  bug(
    'an erased document counts as archived',
    'archive/archive-document.ts',
    "receipt === 'archived' ? 'already-archived' : 'erased'",
    "'already-archived'",
  ),
  {
    ...bug(
      'an erasure does not read again whether the document is held',
      'cli/erasure/erase-document.ts',
      'const hold = await retry((signal) => latestHoldRecord(found.documentId, bucket, signal));',
      'const { hold } = found;',
    ),
    onlyFaults: ['operator-erases-document', 'operator-holds-document-being-erased'],
  },
  bug(
    'contexts of an erased document are written',
    'discover/contexts.ts',
    ' && !present.has(contextTombstoneKey(fact.documentId))',
    '',
  ),
  bug(
    'a hold is recorded after the legal holds are on',
    'cli/erasure/hold-document.ts',
    "  if (!found.hold) await record('hold', reason);\n",
    '',
    {
      file: 'cli/erasure/hold-document.ts',
      fragment: '    if (open.length === 0) {\n',
      replacement: "    if (open.length === 0) {\n      if (!found.hold) await record('hold', reason);\n",
    },
  ),
  bug(
    'a release is recorded before the legal holds are off',
    'cli/erasure/hold-document.ts',
    `  for (const { key, versionId } of held) {
    await retry((signal) => versions.setHold(key, versionId, false, signal));
  }
`,
    '',
    {
      file: 'cli/erasure/hold-document.ts',
      fragment: "  return 'released';",
      replacement: `  for (const { key, versionId } of held) {
    await retry((signal) => versions.setHold(key, versionId, false, signal));
  }
  return 'released';`,
    },
  ),
];

/** Each bug removes a guard. The simulation must report a violation for it. */
export const seededBugs: readonly SeededBug[] = [
  // Stored objects and receipts.
  bug(
    'PutObject is sent without If-None-Match',
    'bucket/store.ts',
    "put(object, { IfNoneMatch: '*' }, signal)",
    'put(object, {}, signal)',
  ),
  bug(
    'the SHA-256 is neither compared nor sent to S3',
    'archive/verifying-body.ts',
    'expected.sha256 !== undefined && digest !== expected.sha256',
    "digest === ''",
    { file: 'bucket/store.ts', fragment: '{ ChecksumSHA256: hexToBase64(sha256) }', replacement: '{}' },
  ),
  bug(
    'a download that ends early is accepted',
    'archive/verifying-body.ts',
    'if (expected.bytes !== undefined && this.bytesReceived !== expected.bytes)',
    'if (this.bytesReceived < 0)',
  ),
  bug(
    'after 412 any existing object is accepted as the document',
    'archive/archive-document.ts',
    'return (existing.sha256 ?? (await bucket.hash(key, signal))) === sha256 ? existing : undefined;',
    'return existing;',
  ),
  bug(
    'after 412 an existing object without a checksum is accepted unread',
    'archive/archive-document.ts',
    'existing.sha256 ?? (await bucket.hash(key, signal))',
    'existing.sha256 ?? sha256',
  ),
  bug(
    'the receipt is written before the upload has finished',
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
    'the receipt lacks the version ID',
    'archive/archive-document.ts',
    'versionId: object.versionId,',
    'versionId: undefined,',
  ),
  bug(
    'a document counts as archived when only its object exists',
    'bucket/receipts.ts',
    'bucket.head(receiptKey(documentId), signal)',
    "bucket.head('documents/' + documentId, signal)",
  ),
  bug(
    'infected documents are archived by default',
    'archive/archive-document.ts',
    'document.infected && !archiveInfected',
    'document.infected && archiveInfected',
  ),
  bug(
    'the maximum document size is not enforced',
    'archive/archive-document.ts',
    'if (bytes <= maxDocumentBytes) return;',
    'return;',
  ),
  bug(
    'the record of another document is accepted',
    'telnyx/client.ts',
    "if (data.id !== id) throw unexpected('it is about another document');",
    '',
  ),
  bug(
    'a malformed optional field makes a document fail',
    'telnyx/client.ts',
    'const { facts, malformed } = readFacts(data);',
    "const { facts, malformed } = readFacts(data);\n      if (malformed.length > 0) throw unexpected('a field');",
  ),
  bug(
    'the receipt holds the record after JSON.parse has rounded its numbers',
    'telnyx/client.ts',
    'record: record.text, cut: record.cut',
    'record: JSON.stringify(JSON.parse(record.text)), cut: record.cut',
  ),
  bug(
    'the size of the record in a receipt is not limited',
    'telnyx/record.ts',
    'if (text.length <= recordBounds.characters && nestingOf(text) <= recordBounds.levels) {',
    'if (text.length > 0) {',
  ),
  bug(
    'a 404 from a gateway counts as DocumentGone',
    'telnyx/client.ts',
    '  if (codes.length === 0) {',
    "  if (status === 404) return new ArchiverError(gone, 'gone');\n  if (codes.length === 0) {",
  ),
  bug(
    'a 403 from a gateway counts as ApiKeyForbidden',
    'telnyx/client.ts',
    '  if (codes.length === 0) {',
    "  if (status === 403) return new ArchiverError('ApiKeyForbidden', 'forbidden');\n  if (codes.length === 0) {",
  ),
  bug(
    'only status 200 counts as success',
    'telnyx/client.ts',
    'status < 200 || status > 299',
    'status !== 200',
  ),
  bug(
    'a document of unknown length is not archived',
    'archive/archive-document.ts',
    '  if (bytes === undefined) {\n    // S3',
    "  if (bytes === undefined) throw new ArchiverError('DownloadRefused', 'no length');\n  if (bytes === undefined) {\n    // S3",
  ),
  bug('a stated SHA-256 in upper case is not recognized', 'telnyx/record.ts', 'value.toLowerCase()', 'value'),

  // Acknowledgements, retries and dead letters.
  bug(
    'the batch response has a misspelled key',
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
    'a message is acknowledged although its dead letter was not sent',
    'queue/batch.ts',
    'cause: nameOf(failure),\n    });\n    return false;',
    'cause: nameOf(failure),\n    });\n    return true;',
  ),
  bug(
    'a message that waits for a retry is acknowledged',
    'queue/batch.ts',
    'await returnToQueue(record, lane, decision.afterMs, dependencies);\n    return false;',
    'await returnToQueue(record, lane, decision.afterMs, dependencies);\n    return true;',
  ),
  bug(
    'dead letters lack a reason',
    'queue/dead-letter.ts',
    "      reason: { DataType: 'String', StringValue: redact(letter.reason) },\n",
    '',
  ),
  bug(
    'dead letters have a different body',
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
    'a malformed message is acknowledged',
    'errors.ts',
    "MalformedMessage: 'dead-letter'",
    "MalformedMessage: 'acknowledge'",
  ),
  bug(
    'a message of a later version becomes a dead letter immediately',
    'errors.ts',
    "UnknownMessageVersion: 'retry'",
    "UnknownMessageVersion: 'dead-letter'",
  ),
  bug(
    'a message for a deleted document is acknowledged',
    'errors.ts',
    "DocumentGone: 'dead-letter'",
    "DocumentGone: 'acknowledge'",
  ),
  bug(
    'BucketMisconfigured makes dead letters',
    'errors.ts',
    "BucketMisconfigured: 'wait'",
    "BucketMisconfigured: 'dead-letter'",
  ),
  bug(
    'ApiKeyRejected makes dead letters',
    'errors.ts',
    "ApiKeyRejected: 'wait'",
    "ApiKeyRejected: 'dead-letter'",
  ),
  bug(
    'a document becomes a dead letter after its first failure',
    'queue/backoff.ts',
    'if (isDocumentFault && ageMs >= timings.documentFaultAfterMs)',
    "if (error.retryPolicy === 'retry')",
  ),
  bug(
    'a document becomes a dead letter before ten minutes have passed',
    'queue/backoff.ts',
    'isDocumentFault && ageMs >= timings.documentFaultAfterMs',
    'isDocumentFault',
  ),
  bug(
    "one attempt is enough to conclude a document's own fault",
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
    "attempts without delay are enough to conclude a document's own fault",
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
    "a document's own fault is retried for ever",
    'queue/backoff.ts',
    'if (isDocumentFault && ageMs >= timings.documentFaultAfterMs)',
    'if (ageMs < 0)',
  ),
  bug(
    'BucketUnavailable makes dead letters',
    'errors.ts',
    "BucketUnavailable: 'wait'",
    "BucketUnavailable: 'dead-letter'",
  ),
  bug(
    'a waiting message is retried until SQS deletes it',
    'queue/backoff.ts',
    'now + afterMs > sentAt + timings.deadLetterAfterMs',
    'afterMs < 0',
  ),
  {
    ...bug(
      'the body of a dead letter is not truncated to leave room for attributes',
      'queue/dead-letter.ts',
      'truncateToBytes(letter.body, queues.messageBytes - attributeBytes)',
      'letter.body',
    ),
    onlyFaults: ['message-of-maximum-size'],
  },
  {
    ...bug(
      'messages contain characters that SQS rejects',
      'queue/serialise.ts',
      '/[\\ufffe\\uffff]/g',
      '/[\\u0000]/g',
    ),
    onlyFaults: ['event-id-with-noncharacter'],
  },
  bug(
    'a failed ChangeMessageVisibility fails the whole batch',
    'queue/batch.ts',
    "    log.warn('Visibility timeout not changed', {",
    "    if (error) throw error;\n    log.warn('Visibility timeout not changed', {",
  ),
  bug(
    'visibility timeouts are sent in milliseconds',
    'queue/batch.ts',
    'VisibilityTimeout: Math.ceil(afterMs / 1_000)',
    'VisibilityTimeout: Math.ceil(afterMs)',
  ),
  bug(
    'visibility timeouts are not rounded to whole seconds',
    'queue/batch.ts',
    'VisibilityTimeout: Math.ceil(afterMs / 1_000)',
    'VisibilityTimeout: afterMs / 1_000',
  ),

  // Queueing.
  bug(
    'failed entries of SendMessageBatch are dropped',
    'queue/send.ts',
    'pending = pending.filter((entry) => !accepted.has(entry.Id));',
    'pending = pending.filter(() => accepted.size < 0);',
  ),
  bug('a failed send counts as success', 'queue/send.ts', 'if (failed) throw failed.reason;', ''),
  bug(
    'a webhook is answered 200 although queueing failed',
    'webhook/handler.ts',
    '    return 503;',
    '    return 200;',
  ),
  bug(
    'a webhook is answered before its documents are queued',
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
    'the ID of a comment is used as the ID of its order',
    'webhook/events.ts',
    "'porting_order.new_comment': (payload) => ({ portingOrders: [field(payload, 'porting_order_id')] }),\n",
    '',
  ),
  bug(
    'events without an envelope are not recognized',
    'webhook/events.ts',
    "field(body, 'data') ?? body",
    "field(body, 'data')",
  ),
  bug(
    'spans queue documents in the live lane',
    'discover/discover.ts',
    'queueUrl: backfillQueueUrl,\n        trigger',
    'queueUrl: documentsQueueUrl,\n        trigger',
  ),
  bug(
    'discovery queues documents again after a failed request',
    'discover/discover.ts',
    '      const batch = collected;\n      collected = new Map();',
    '      const batch = collected;',
  ),
  bug(
    'discovery queues documents that have a receipt',
    'bucket/unarchived.ts',
    'first?.slice(0, -1)',
    'first',
  ),

  // Discovery.
  bug(
    'only the first page of a list is read',
    'telnyx/pages.ts',
    'if (pageNumber > 1 && nothingNew) break;',
    'break;',
  ),
  bug(
    'a full page counts as the end of a list',
    'telnyx/window.ts',
    'const full = page.length >= fullPage;',
    'const full = page.length > 1_000;',
  ),
  bug(
    'time slices of a list do not overlap',
    'telnyx/window.ts',
    '{ after: slice.from - second, before: slice.to + second }',
    '{ after: slice.from, before: slice.to }',
  ),
  bug(
    'an empty or repeated page is accepted without confirmation',
    'telnyx/confirm.ts',
    'if (page.length > 0 && !isSame(page, before)) return { page, nothingNew: false, matchesFilter: true };',
    'return { page, nothingNew: page.length === 0, matchesFilter: true };',
  ),
  {
    ...bug(
      'rows outside the requested time window are accepted',
      'telnyx/confirm.ts',
      'if (!page.every(belongs)) {',
      'if (page.length < 0) {',
    ),
    onlyFaults: ['list-filter-ignored'],
  },
  bug(
    'the five-minute sweep does not queue missed documents',
    'discover/sweep.ts',
    '...(minute % sweep.second.everyMinutes === 0 ?',
    '...(minute < 0 ?',
  ),
  bug(
    'the hourly sweep does not queue documents of the previous day',
    'discover/sweep.ts',
    'minute % sweep.nextDay.everyMinutes === 0 ? [band(sweep.nextDay)]',
    'minute < 0 ? [band(sweep.nextDay)]',
  ),
  bug('sweeps do not queue new documents', 'discover/sweep.ts', '    band(sweep.fresh),\n', ''),
  bug(
    "sweeps use the container's clock as the receive time",
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
    'sweeps queue documents that the list shows as infected',
    'discover/discover.ts',
    'band !== undefined && cannotBeArchived(candidate, dependencies)',
    'result.found < 0',
  ),
  {
    ...bug(
      'low-priority lanes use the whole rate limit',
      'telnyx/pacing.ts',
      'if (remaining > limit * pacing.liveShare + invocations) return;',
      'if (remaining >= 0) return;',
    ),
    onlyFaults: ['telnyx-enforces-rate-limit', 'operator-backfills-many-spans'],
  },
  {
    ...bug(
      'low-priority lanes send requests concurrently',
      'telnyx/pacing.ts',
      'return limited ? oneAtATime(paced) : paced();',
      'return paced();',
    ),
    onlyFaults: ['telnyx-enforces-rate-limit', 'operator-backfills-many-spans'],
  },
  bug(
    'only the first page of a receipt listing is read',
    'bucket/unarchived.ts',
    'remaining: chunk.slice(next)',
    'remaining: []',
  ),
  bug(
    'one failed section of an order hides the documents of the others',
    'discover/orders.ts',
    '      failures.push(error);',
    '      throw error;',
  ),
  bug(
    'document requirements of an order are ignored',
    'telnyx/lists.ts',
    "requirement.field_type === 'document' ?",
    "requirement.field_type === 'file' ?",
  ),

  // Webhook signatures.
  bug(
    'a low-order point is accepted as a public key',
    'webhook/verify.ts',
    'if (isLowOrder(bytes)) {',
    'if (bytes.length === 0) {',
  ),
  bug(
    'the age of a signature is not checked',
    'webhook/verify.ts',
    'Math.abs(nowMs / 1_000 - Number(timestamp)) > toleranceSeconds',
    'Number(timestamp) < 0',
  ),
  bug(
    'timestamps in the future are accepted',
    'webhook/verify.ts',
    'Math.abs(nowMs / 1_000 - Number(timestamp))',
    '(nowMs / 1_000 - Number(timestamp))',
  ),
  bug(
    'signatures are not verified',
    'webhook/verify.ts',
    '!publicKeys.some((key) => verifySignature(null, signed, key, signatureBytes))',
    'publicKeys.length === 0',
  ),
  bug(
    'the timestamp is not part of the signed bytes',
    'webhook/verify.ts',
    'const signed = Buffer.concat([',
    'const signed = Buffer.concat([rawBody]);\n  Buffer.concat([',
  ),
  bug(
    'a body in base64 is not decoded before verification',
    'webhook/handler.ts',
    "event.isBase64Encoded ? 'base64' : 'utf8'",
    "'utf8'",
  ),

  // Download links and secrets.
  bug(
    'links to any host are followed',
    'archive/download.ts',
    'const url = allowedUrl(link, policy);',
    'const url = new URL(link);',
  ),
  bug(
    'hosts of the Telnyx storage are not allowed',
    'limits.ts',
    "  '<region>.telnyxcloudstorage.com',\n",
    '',
  ),
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
    'an Authorization header is sent to the storage',
    'archive/download.ts',
    "headers: { 'accept-encoding': 'identity' }",
    "headers: { 'accept-encoding': 'identity', authorization: 'Bearer' }",
  ),
  bug(
    'a redirect response is stored as the document',
    'archive/download.ts',
    'if (response.status === 200) return response;',
    'if (response.status < 400) return response;',
  ),
  bug(
    'error texts of Telnyx are quoted and not redacted',
    'redact.ts',
    'export function redact(value: string): string {',
    'export function redact(value: string): string {\n  if (value) return value;',
    {
      file: 'telnyx/client.ts',
      fragment: 'throw errorFor(response, errorCodesOf(text), { gone, refused }, time.now());',
      replacement: 'throw errorFor(response, [text], { gone, refused }, time.now());',
    },
  ),

  // Caches, open resources, time limits and metrics.
  bug(
    'a failed read of the API key is cached',
    'telnyx/api-key.ts',
    'if (reading === started) reading = undefined;',
    '',
  ),
  bug(
    'a rejected API key is not read again',
    'telnyx/client.ts',
    'if (response.status === 401 && errorCodesOf(text).length > 0) {',
    'if (response.status === 999) {',
  ),
  bug(
    'the timer of a deadline is not cancelled',
    'time.ts',
    '    cancel();\n    parent.removeEventListener',
    '    parent.removeEventListener',
  ),
  bug(
    'the body of a failed download is not closed',
    'archive/download.ts',
    '    response.body.destroy();\n    throw statusError',
    '    throw statusError',
  ),
  bug(
    'the body of a download with the wrong length is not closed',
    'archive/archive-document.ts',
    '    response.body.destroy();\n    throw error;',
    '    throw error;',
  ),
  bug(
    'a parallel request is not awaited after the other has failed',
    'archive/archive-document.ts',
    '  await Promise.allSettled(lookup);\n',
    '',
  ),
  {
    ...bug(
      'an upload is not aborted at the end of its invocation',
      'archive/copy.ts',
      'AbortSignal.any([signal, upload.signal])',
      'upload.signal',
    ),
    onlyFaults: ['s3-no-response', 'lambda-throttled', 'lambda-response-lost', 'download-slow'],
  },
  bug(
    'a stalled download is detected only after the S3 timeout',
    'archive/copy.ts',
    'const checkIntervalMs = calls.downloadIdleMs / 4;',
    'const checkIntervalMs = calls.downloadIdleMs;',
  ),
  bug(
    'stalled downloads are not detected',
    'archive/copy.ts',
    'const stopWatching = watchForStall(body, time);',
    'const stopWatching = () => undefined;',
  ),
  bug(
    'an invocation works until its timeout',
    'queue/batch-handler.ts',
    'context.getRemainingTimeInMillis() - timeouts.reserveMs',
    'context.getRemainingTimeInMillis()',
  ),
  bug(
    'a webhook waits too long for SQS',
    'webhook/handler.ts',
    'withDeadline(time, calls.webhookMs,',
    'withDeadline(time, 10 * calls.webhookMs,',
  ),
  bug(
    'archived documents are counted twice',
    'archive/handler.ts',
    "  log.count('DocumentsArchived');\n",
    "  log.count('DocumentsArchived', 2);\n",
  ),
  bug(
    'failures are counted under a wrong code',
    'queue/batch.ts',
    "log.count('ReceivesFailed', 1, { Code: error.code });",
    "log.count('ReceivesFailed', 1, { Code: 'Unexpected' });",
  ),
  bug('errors of S3 are not translated', 'bucket/store.ts', 'throw asBucketError(error);', 'throw error;'),

  // Whose documents they are.
  bug(
    'an order is acknowledged although its contexts are not written',
    'discover/discover.ts',
    '    await writeContexts(facts, signal, dependencies);\n  } finally {',
    '    await learnAside(() => writeContexts(facts, signal, dependencies), dependencies);\n  } finally {',
  ),
  bug(
    'of the phone numbers of a document only the last one is learnt',
    'telnyx/lists.ts',
    'met.push(...listOf(asText(phone_number)));',
    'met.splice(0, 1, ...listOf(asText(phone_number)));',
  ),

  ...erasureBugs,
];
