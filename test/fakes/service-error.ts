/** An error like those that the AWS SDK throws for an error response. */
export function serviceError(name: string, status: number): Error {
  return Object.assign(new Error(name), {
    name,
    $fault: status < 500 ? 'client' : 'server',
    $metadata: { httpStatusCode: status, attempts: 1 },
  });
}
