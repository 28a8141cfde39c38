/** Part of every secret and of every text that others control. It must not occur in logs and other output. */
export const canary = 'KANARI77KANARI';

/** The canary in base64, for each alignment to groups of three bytes. */
const forms = [0, 1, 2].map((offset) => {
  const encoded = Buffer.from(`${'x'.repeat(offset)}${canary}`).toString('base64');
  // The first and last digits depend on the bytes next to the canary.
  return encoded.slice(4, -4);
});

export function holdsCanary(text: string): boolean {
  return text.includes(canary) || forms.some((form) => text.includes(form));
}
