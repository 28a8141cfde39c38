import { xmlDocument } from './xml.ts';

/**
 * An error response of S3: HTTP status, `<Code>`, `<Message>` and further elements of the XML body.
 *
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
 */
export class S3Error extends Error {
  override readonly name = 'S3Error';
  readonly status: number;
  readonly code: string;
  readonly details: Readonly<Record<string, string>>;
  /** Headers of the response. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: string,
    message: string,
    details: Readonly<Record<string, string>> = {},
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.details = details;
    this.headers = headers;
  }
}

export function errorXml(error: S3Error, requestId: string, hostId: string): Buffer {
  return xmlDocument('Error', [
    ['Code', error.code],
    ['Message', error.message],
    ...Object.entries(error.details),
    ['RequestId', requestId],
    ['HostId', hostId],
  ]);
}

export const invalidArgument = (message: string, name: string, value: string) =>
  new S3Error(400, 'InvalidArgument', message, { ArgumentName: name, ArgumentValue: value });

export const invalidRequest = (message: string) => new S3Error(400, 'InvalidRequest', message);

export const accessDenied = (message = 'Access Denied', details: Readonly<Record<string, string>> = {}) =>
  new S3Error(403, 'AccessDenied', message, details);

/** S3's error for a header that requests an unsupported feature. */
export const headerNotImplemented = (header: string) =>
  new S3Error(501, 'NotImplemented', 'A header you provided implies functionality that is not implemented', {
    Header: header,
  });

/** S3's error for an operation or a parameter that is not supported. */
export const requestNotImplemented = () =>
  new S3Error(
    501,
    'NotImplemented',
    'A header or query you provided requests a function that is not implemented.',
  );

export const preconditionFailed = (condition = 'If-None-Match') =>
  new S3Error(412, 'PreconditionFailed', 'At least one of the pre-conditions you specified did not hold', {
    Condition: condition,
  });

/** @param headers those of a delete marker, if it is the reason */
export const noSuchKey = (key: string, headers?: Readonly<Record<string, string>>) =>
  new S3Error(404, 'NoSuchKey', 'The specified key does not exist.', { Key: key }, headers);

export const noSuchVersion = (key: string, versionId: string) =>
  new S3Error(404, 'NoSuchVersion', 'The specified version does not exist.', {
    Key: key,
    VersionId: versionId,
  });

export const malformedXml = () =>
  new S3Error(
    400,
    'MalformedXML',
    'The XML you provided was not well-formed or did not validate against our published schema',
  );

/** Another write to the same key is in progress. */
export const conditionalRequestConflict = () =>
  new S3Error(
    409,
    'ConditionalRequestConflict',
    'The conditional request cannot succeed due to a conflicting operation against this resource.',
  );
