/** An answer of the API: its body as JSON, or as it is where it is text already. */
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

/** A request that cannot be served as it stands. */
export class RequestError extends Error {
  readonly answer: ApiResponse;

  /** @param parameter the query parameter at fault, if one is */
  constructor(status: number, code: string, title: string, parameter?: string) {
    super(title);
    this.answer = failure(status, code, title, parameter);
  }
}

/** The usual body of an error: `errors`, an array. */
export function failure(status: number, code: string, title: string, parameter?: string): ApiResponse {
  const source = parameter === undefined ? {} : { source: { parameter } };
  return { status, body: { errors: [{ code, title, ...source }] } };
}

/** @param bare as the specification has the 404 of `download_link`: an error object without `errors` around it */
export function notFound(bare: boolean): ApiResponse {
  const error = {
    code: telnyxErrorCodes.notFound,
    title: 'Resource not found',
    detail: 'The requested resource or URL could not be found.',
  };
  return { status: 404, body: bare ? error : { errors: [error] } };
}
