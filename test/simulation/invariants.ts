/**
 * Guarantees that hold under every fault. `invariant-monitor.ts` checks most of them at every step, `final-checks.ts`
 * the others at the end of a run. `docs/guarantees.md` lists which test proves what.
 */
export const invariants = {
  'accepted-is-queued': 'an event is answered 2xx only after everything that it names is in a queue',
  'forged-is-rejected':
    'an event without a valid, fresh signature by Telnyx is answered 4xx and nothing of it is queued',
  'genuine-is-accepted':
    'an event with a valid, fresh signature by Telnyx is rejected only if no queue accepts messages',
  'one-final-state':
    'each accepted document is either archived, or erased, or a dead letter with code and reason',
  'correct-bytes-only':
    'every object that the archiver stores under documents/ has the bytes of that document',
  'retried-before-dead-letter':
    "no dead letter for another system's fault, nor for a document's own fault before enough attempts have failed",
  'one-version': 'the functions create at most one version of each object and of each receipt',
  'receipt-matches-object':
    'a receipt exists only beside its object and states the version, size and digest of that object',
  'done-before-acknowledged': 'a message is acknowledged only after its work is done or it is a dead letter',
  'response-is-valid':
    'a batch handler never throws; its response names only messages of the batch, each at most once',
  'no-secret-disclosed':
    'no log line, dead letter, receipt or response holds a secret, in clear text or in base64',
  'only-allowed-hosts':
    'no request goes to a host that is not allowed, and the API key is never sent to the storage',
  'log-lines-are-json': 'each log line is one JSON object of at most 8 kB',
  'no-forbidden-call':
    'no function deletes or locks anything, and no operation is called that the role does not allow',
  'no-open-resources': 'no timer, call or response body is open when an invocation returns',
  'webhook-in-time': 'a webhook is answered within 1.5 s',
  'ends-before-timeout': 'an invocation ends at least 500 ms before its timeout',
  'no-loops': 'a message passes through at most three functions',
  'counts-match':
    'queues lose no message, metrics equal what happened, and an error code is reported only with one of its causes',
  'correct-queue':
    'backfilled documents go to the backfill queue, all others to the documents queue, each only once',
  'live-work-keeps-half-the-rate':
    "low-priority lanes leave half of Telnyx's stated rate limit to live documents",
  'unarchived-raises-alarm':
    'a document that is not archived 16 minutes after its upload has raised an alarm',
  'everything-archived':
    'once faults stop, every document that can be archived is archived or erased, and the queues are empty',
  'archived-before-deletion':
    'while faults are rare or outages short, every document is archived before Telnyx deletes it',
  'redrive-succeeds':
    'after a redrive without faults, only documents that cannot be archived are dead letters',
  'erased-leaves-tombstones':
    'after an erasure, both keys have the same tombstone and no other version, no object has bytes of the document, and its row in the catalogue states nothing else',
  'erased-stays-erased':
    'only a tombstone hides what an erasure deletes, and nothing is stored again at the keys of an erased document',
  'erased-is-acknowledged':
    'a delivery of an erased document is acknowledged and counted as such, and never becomes a dead letter',
  'tombstone-names-the-erased':
    'the tombstone of an archived document states the digests of its object and of its receipt',
  'context-is-true':
    'each context is one of the document in its key, states what Telnyx states of an order or link of it, and is written once',
  'learnt-is-written':
    'a message about an order is acknowledged only after contexts state what it says about each of its documents that is not erased; a sweep, what the links say that it has read',
  'erased-has-no-context':
    'no context of an erased document is left or written again, but one that was being written during the erasure',
  'held-is-kept':
    'nothing of a held document is deleted; a hold that is being placed is too late for one version at most',
  'hold-has-record': 'as long as a version is on legal hold, a record says who placed it and why',
  'erasure-is-finished':
    'an erasure that was interrupted, or that a hold has stopped, is finished by the same command',
  'audit-ends':
    'a run of the audit ends with one summary: complete, or closed by the next run; without faults every night has a complete one',
  'audit-summary-is-true':
    'a run is complete only when all its parts are, and its metrics are published before its summary is written',
  'audit-writes-its-own': 'the audit function writes only plans, results, summaries and manifests',
  'healthy-is-clean': 'a complete run of the audit finds no defect that is none',
  'damage-is-found':
    'each damage of the archive, and each context that an erasure has left, is a finding of a later complete run',
  'catalogue-is-exact':
    'after a night without faults, the rows of the catalogue state what receipts, tombstones, contexts and holds say, and nothing else',
  'no-unhandled-error': 'no promise rejection and no error event is left unhandled',
} as const;

export type InvariantName = keyof typeof invariants;

export interface Violation {
  invariant: InvariantName;
  /** ID of the document, order, message or invocation. */
  subject: string;
  what: string;
}
