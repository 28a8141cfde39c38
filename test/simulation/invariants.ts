/** What must hold, whatever strikes. Each is watched for in `watch.ts`, or looked at in the end in `verdict.ts`. */
export const invariants = {
  'accepted-is-queued': 'I1: an event is answered 2xx only once all that it names is in a queue',
  'forged-is-refused': 'I1: what Telnyx has not signed just now is answered 4xx, and nothing of it is queued',
  'genuine-is-accepted': 'I1: what Telnyx has signed just now is refused only where no queue takes it',
  'ends-in-one-state':
    'I2: each accepted document is archived, or a dead letter with code and reason; not both',
  'right-bytes-only': "I3: whatever the archiver stores under documents/ is that document's bytes",
  'given-up-in-time':
    'I2: nothing is given up for somebody else’s fault, nor before its own is shown by attempts',
  'one-version': 'I4: at most one version of each object and of each receipt is ever created',
  'receipt-is-true': 'I5: a receipt stands only beside its object, and states its version, size and digest',
  'done-before-acknowledged':
    'I6: a message is acknowledged only once what it asks for is done, or a dead letter',
  'answers-in-form': 'I7: a batch is never thrown back; the answer names ids of the batch, each once',
  'no-secret-shown': 'I8: no secret in log, dead letter, receipt or answer, in clear or in base64',
  'only-allowed-hosts': 'I9: no request to a host that is not allowed; no API key to the storage',
  'log-lines-are-json': 'I10: each line of the log is one JSON object of at most 8 kB',
  'nothing-deleted': 'I11: nothing is deleted, locked, or called that is not granted',
  'nothing-left-behind': 'I12: no timer, call or body is open when an invocation returns',
  'webhook-in-time': 'I13: a webhook is answered within 1.5 s',
  'ends-in-time': 'I14: an invocation ends 500 ms before its limit',
  'no-loops': 'I15: at most three functions in a row',
  'books-balance': 'I16: queues lose nothing; metrics are what happened; a code names what has happened',
  'lanes-are-kept': 'backfills go to the backfill queue, live documents to the other; each document once',
  'live-has-half': 'where Telnyx states a rate limit, low lanes leave half of it to live work',
  'unsettled-rings': 'whatever is not settled 16 minutes after its upload has made an alarm ring',
  'all-is-archived': 'I17: once faults stop, all that can be archived is, and the queues are empty',
  'in-time-for-deletion': 'I18: in fair weather, every document is archived before Telnyx deletes it',
  'redrive-empties': 'I19: after a redrive in still weather only the hopeless are dead letters',
  'process-survives': 'no promise is rejected and no error emitted that nobody handles',
} as const;

export type InvariantName = keyof typeof invariants;

export interface Breach {
  invariant: InvariantName;
  /** The document, order, message or invocation. */
  subject: string;
  what: string;
}
