/** An error as the SDK throws it for an answer of AWS. */
export function serviceError(name: string, status: number): Error {
  return Object.assign(new Error(name), {
    name,
    $fault: status < 500 ? 'client' : 'server',
    $metadata: { httpStatusCode: status, attempts: 1 },
  });
}
