/** Parameters that all listings have. */
import { invalidArgument } from './s3-error.ts';

const MAX_KEYS = 1000;

export function parseMaxKeys(text: string | undefined): number {
  if (text === undefined) return MAX_KEYS;
  if (!/^\d{1,10}$/.test(text)) {
    throw invalidArgument('Provided max-keys not an integer or within integer range', 'max-keys', text);
  }
  return Math.min(MAX_KEYS, Number(text));
}

export function keyEncoding(type: string | undefined): (key: string) => string {
  if (type === undefined) return (key) => key;
  if (type !== 'url') {
    throw invalidArgument('Invalid Encoding Method specified in Request', 'encoding-type', type);
  }
  return (key) => encodeURIComponent(key).replaceAll('%2F', '/').replaceAll('%20', '+');
}
