/** A word in everything that is secret, or written by others, so that it can be looked for where it must not be. */
export const canary = 'KANARI77KANARI';

/** In all forms in which it could slip through: as it is, and in base64 at any position. */
const forms = [0, 1, 2].map((offset) => {
  const encoded = Buffer.from(`${'x'.repeat(offset)}${canary}`).toString('base64');
  // The first and last digits depend on the neighbours.
  return encoded.slice(4, -4);
});

export function holdsCanary(text: string): boolean {
  return text.includes(canary) || forms.some((form) => text.includes(form));
}
