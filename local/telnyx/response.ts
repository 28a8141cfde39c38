/** Response of the API. The body is sent as JSON, or unchanged if it is text. */
export interface ApiResponse {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
}

/** https://developers.telnyx.com/development/api-fundamentals/api-errors */
export const telnyxErrorCodes = {
  notFound: '10005',
  invalidId: '10006',
  unexpected: '10007',
  unauthenticated: '10009',
  unauthorised: '10010',
  tooManyRequests: '10011',
  badRequest: '10015',
} as const;

/** Invalid request, with the error response. */
export class RequestError extends Error {
  readonly response: ApiResponse;

  /** @param parameter the invalid query parameter, if any */
  constructor(status: number, code: string, title: string, parameter?: string) {
    super(title);
    this.response = telnyxError(status, code, title, parameter);
  }
}

/** Error response with the usual body, an array `errors`. */
export function telnyxError(status: number, code: string, title: string, parameter?: string): ApiResponse {
  const source = parameter === undefined ? {} : { source: { parameter } };
  return { status, body: { errors: [{ code, title, ...source }] } };
}

/** @param bare an error object without the array `errors`, as in the specification of `download_link` */
export function notFound(bare: boolean): ApiResponse {
  const error = {
    code: telnyxErrorCodes.notFound,
    title: 'Resource not found',
    detail: 'The requested resource or URL could not be found.',
  };
  return { status: 404, body: bare ? error : { errors: [error] } };
}
