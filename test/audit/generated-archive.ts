/** A bucket with any number of archived documents, which are made up when they are listed or read. */
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
} from '@aws-sdk/client-s3';
import { documentPrefix, receiptPrefix } from '../../functions/bucket/keys.ts';
import type { Time } from '../../functions/time.ts';
import { day, documentOf, noon, receiptOf, written } from '../fakes/documents.ts';
import { MemoryBucket } from '../fakes/memory-bucket.ts';
import { answerS3 } from '../fakes/s3-answers.ts';
import { VersionedObjects } from '../fakes/versioned-objects.ts';

const modified = noon - 100 * day;
const pageKeys = 1_000;
const firstDigits = 16 ** 8;

/** Everything but objects and receipts is stored in memory. */
export class GeneratedArchive extends MemoryBucket {
  /** Requests for objects and receipts, by the name of the command. */
  readonly generated: Record<string, number> = {};
  readonly #documents: number;

  /** @param documents their number, at most 2^32; the IDs are evenly spread */
  constructor(documents: number, time: Time) {
    super(time);
    this.#documents = documents;
    const stored = this.send;
    (this as { send: MemoryBucket['send'] }).send = async (command) => {
      const { Key, Prefix = Key ?? '' } = (command as { input: { Key?: string; Prefix?: string } }).input;
      if (!Prefix.startsWith(documentPrefix) && !Prefix.startsWith(receiptPrefix)) return stored(command);
      const name = (command as object).constructor.name;
      this.generated[name] = (this.generated[name] ?? 0) + 1;
      return this.#answer(command);
    };
  }

  #answer(command: unknown): object {
    const isList = command instanceof ListObjectsV2Command;
    if (isList || command instanceof ListObjectVersionsCommand) {
      const { Prefix = '' } = command.input;
      const after = (isList ? command.input.StartAfter : command.input.KeyMarker) ?? '';
      const keys: string[] = [];
      for (let at = this.#indexAfter(Prefix, after); keys.length <= pageKeys; at += 1) {
        const key = at < this.#documents ? keyOf(Prefix, this.#id(at)) : '';
        if (!key.startsWith(Prefix)) break;
        keys.push(key);
      }
      const isTruncated = keys.length > pageKeys;
      const page = keys.slice(0, pageKeys).map((key) => ({
        Key: key,
        Size: key.startsWith(documentPrefix) ? 46 : 900,
        ETag: '"generated"',
        LastModified: new Date(modified),
        VersionId: 'generated',
        IsLatest: true,
      }));
      const next = { NextKeyMarker: page.at(-1)?.Key, NextVersionIdMarker: 'generated' };
      return {
        IsTruncated: isTruncated,
        ...(isList ? { Contents: page } : { Versions: page, ...(isTruncated && next) }),
      };
    }
    if (!(command instanceof GetObjectCommand || command instanceof HeadObjectCommand)) {
      throw new Error('Nothing writes objects or receipts here.');
    }
    const { Key = '' } = command.input;
    const id = /[0-9a-f]{8}(?:-[0-9a-f]+){4}/.exec(Key)?.[0] ?? '';
    const archived = documentOf(id, Buffer.from(`document ${id} `), { createdAt: modified });
    const objects = new VersionedObjects(() => modified);
    const body = Key.startsWith(documentPrefix) ? archived.body : Buffer.from(written(receiptOf(archived)));
    objects.put(Key, body, { verified: body });
    return answerS3(objects, command);
  }

  /** Index of the first document whose key has the prefix and comes after the text. */
  #indexAfter(prefix: string, after: string): number {
    let low = 0;
    let high = this.#documents;
    while (low < high) {
      const middle = (low + high) >> 1;
      const key = keyOf(prefix, this.#id(middle));
      if (key <= after || key < prefix) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #id(index: number): string {
    const digits = Math.floor((index * firstDigits) / this.#documents).toString(16);
    return `${digits.padStart(8, '0')}-0000-4000-8000-000000000001`;
  }
}

function keyOf(prefix: string, id: string): string {
  return prefix.startsWith(documentPrefix) ? documentPrefix + id : `${receiptPrefix}${id}.json`;
}
