/** Response of the API. The body is sent as it is if it is text or a stream, otherwise as JSON. */
export interface ApiResponse {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
}

interface ErrorType {
  code: string;
  title: string;
}

/** https://developers.telnyx.com/development/api-fundamentals/api-errors */
export const telnyxErrors = {
  notFound: { code: '10005', title: 'Resource not found' },
  invalidId: { code: '10006', title: 'Invalid resource ID' },
  unexpected: { code: '10007', title: 'Unexpected error' },
  unauthenticated: { code: '10009', title: 'Authentication failed' },
  unauthorised: { code: '10010', title: 'Authorization failed' },
  tooManyRequests: { code: '10011', title: 'Too many requests' },
  badRequest: { code: '10015', title: 'Bad Request' },
} as const satisfies Record<string, ErrorType>;

/** What an error is about: a JSON pointer into the body (RFC 6901), or the name of a query parameter. */
export type ErrorSource = { pointer: string } | { parameter: string };

/** Invalid request, with the error response. */
export class RequestError extends Error {
  readonly response: ApiResponse;

  constructor(status: number, type: ErrorType, detail: string, source?: ErrorSource) {
    super(detail);
    this.response = telnyxError(status, type, detail, source);
  }
}

/** 422 for a request that the specification does not allow. */
export function unprocessable(detail: string, source?: ErrorSource): RequestError {
  return new RequestError(422, telnyxErrors.badRequest, detail, source);
}

/** Error response with the usual body, an array `errors`. */
export function telnyxError(
  status: number,
  type: ErrorType,
  detail: string,
  source?: ErrorSource,
): ApiResponse {
  return { status, body: { errors: [{ ...type, detail, ...(source && { source }) }] } };
}

/** @param bare an error object without the array `errors`, as in the specification of `download_link` */
export function notFound(bare: boolean): ApiResponse {
  const error = {
    ...telnyxErrors.notFound,
    detail: 'The requested resource or URL could not be found.',
  };
  return { status: 404, body: bare ? error : { errors: [error] } };
}
