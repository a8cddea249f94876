/** Errors as problem details (RFC 9457): one shape for every answer that is no success. */
import { ERRORS, type ErrorCode, isRiskTrailError, RiskTrailError } from '../core/errors.ts';

/** The media type of problem details. */
export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

/** Status of a request whose client left before the answer began, as proxies log it. */
export const CLIENT_GONE = 499;

/** A problem, as it is sent. */
export interface Problem {
  /** URN of the kind of problem. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** What is wrong with this request, in one sentence. */
  readonly detail: string;
  /** Code to match on. */
  readonly code: string;
  /** What to do about it. */
  readonly remedy?: string;
}

/** HTTP statuses by the codes of our errors; the others are 500. */
const STATUS: Partial<Readonly<Record<ErrorCode, number>>> = {
  OPTION_INVALID: 400,
  OPTION_UNKNOWN: 400,
  SQL_INVALID: 400,
  SQL_NOT_READ_ONLY: 400,
  SQL_TIMEOUT: 422,
  SQL_MEMORY: 422,
  QUESTION_TIMEOUT: 422,
  ANSWER_TOO_LARGE: 422,
  QUESTION_MEMORY: 422,
  XLSX_TOO_LARGE: 422,
  REPLAY_PARAMETER_UNKNOWN: 400,
  REPLAY_NOTHING: 404,
  NOTHING_TO_EXPLAIN: 404,
  RECORD_NOT_FOUND: 404,
  CHECKPOINT_NOT_FOUND: 404,
  NO_TRAIL_FILES: 404,
  NOTHING_TO_VERIFY: 404,
  STREAM_AMBIGUOUS: 409,
  RECORD_NOT_COVERED: 409,
  PROOF_IMPOSSIBLE: 409,
  VERIFIER_KEY_MISSING: 409,
  VERIFIER_KEY_INVALID: 409,
  HANDOVER_IMPOSSIBLE: 409,
  SIGNING_KEY_UNREADABLE: 409,
  SIGNING_KEY_INVALID: 409,
  SIGNING_KEY_NOT_ED25519: 409,
  DUCKDB_MISSING: 501,
  XLSX_MISSING: 501,
  PATH_NOT_FOUND: 503,
  FILE_UNREADABLE: 503,
  AUDIT_DIRECTORY_UNUSABLE: 503,
  SERVER_BUSY: 503,
};

const TITLES: Readonly<Record<number, string>> = {
  400: 'The request is wrong',
  401: 'A token is required',
  403: 'Not allowed',
  404: 'Not found',
  405: 'The method is not allowed here',
  406: 'Not acceptable',
  408: 'The request took too long to arrive',
  409: 'Not possible as the trail stands',
  413: 'The request is too large',
  414: 'The address is too long',
  415: 'The media type is not supported',
  421: 'Not the host of this server',
  422: 'The question asks for too much',
  429: 'Too many requests',
  431: 'The headers are too large',
  500: 'A defect of the server',
  501: 'Not installed',
  503: 'Not available now',
};

/** A problem of the server's own. */
export class ProblemError extends Error {
  readonly problem: Problem;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: string,
    detail: string,
    more: { readonly remedy?: string; readonly headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(detail);
    this.problem = makeProblem(status, code, detail, more.remedy);
    this.headers = more.headers ?? {};
  }
}

function makeProblem(status: number, code: string, detail: string, remedy?: string): Problem {
  return {
    type: `urn:risktrail:problem:${code.toLowerCase().replaceAll('_', '-')}`,
    title: TITLES[status] ?? 'The request failed',
    status,
    detail,
    code,
    ...(remedy === undefined ? {} : { remedy }),
  };
}

/** Options of the command line as the parameters of a request: `--min-duration` is `min_duration`. */
function inWordsOfRest({ code, details }: RiskTrailError): string {
  const words = (text: string) => text.replace(/--([a-z][a-z-]*)/g, (_, name: string) => name.replaceAll('-', '_'));
  const told = Object.fromEntries(
    Object.entries(details).map(([name, value]) => [name, name === 'received' ? value : words(String(value))]),
  );
  return new RiskTrailError(code, told).message;
}

/**
 * Any error as a problem. What nobody foresaw says nothing of the inside.
 * @param hide takes the machine's paths out of a text
 */
export function problemOf(error: unknown, hide: (text: string) => string): Problem {
  if (error instanceof ProblemError) return error.problem;
  if (isRiskTrailError(error)) {
    const status = STATUS[error.code] ?? 500;
    const remedy = error.code.startsWith('OPTION_') ? 'Correct the named parameter.' : ERRORS[error.code].remedy;
    return makeProblem(status, error.code, hide(inWordsOfRest(error)), remedy);
  }
  const { statusCode, code, message } = error as { statusCode?: number; code?: string; message?: string };
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return makeProblem(
      statusCode,
      CODES[statusCode] ?? 'REQUEST_INVALID',
      hide(message ?? code ?? 'the request is wrong'),
    );
  }
  return makeProblem(500, 'INTERNAL', 'something unforeseen went wrong; the log of the server tells what');
}

const CODES: Readonly<Record<number, string>> = {
  413: 'REQUEST_TOO_LARGE',
  414: 'ADDRESS_TOO_LONG',
  415: 'MEDIA_TYPE_UNSUPPORTED',
  429: 'TOO_MANY_REQUESTS',
};
