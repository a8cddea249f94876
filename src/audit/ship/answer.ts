/**
 * What a receiver's answer means for the records of a request.
 * https://opentelemetry.io/docs/specs/otlp/#otlphttp-response
 */

/** A response as it came over the wire. */
export interface HttpResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** At most {@link MAX_ANSWER_BYTES}. */
  readonly body: Buffer;
  /** Whether the body was longer than that. */
  readonly cut: boolean;
}

/** More of an answer is not read. */
export const MAX_ANSWER_BYTES = 65_536;

/**
 * - `accepted`: the receiver has all of it;
 * - `partial`: it has all but `rejected` records, and doesn't say which;
 * - `refused`: it has none, because of something in the records;
 * - `too-large`: it has none, because there are too many;
 * - `outage`: nothing is known of the records; `retryAfterMs` where the receiver said when to come again, `silent` where
 *   there was no answer at all.
 */
export type Answer = (
  | { readonly kind: 'accepted'; readonly warning: string | undefined }
  | { readonly kind: 'partial'; readonly rejected: number; readonly told: string }
  | { readonly kind: 'refused' | 'too-large'; readonly told: string }
  | {
      readonly kind: 'outage';
      readonly told: string;
      readonly retryAfterMs: number | undefined;
      readonly silent?: boolean;
    }
) & {
  /** It came before the request was read to its end, or not at all: the system may still be sending the body. */
  readonly early?: boolean;
};

/** A receiver may ask for a longer pause; it is asked again after this one. */
const MAX_RETRY_AFTER_MS = 3_600_000;
const MAX_TOLD_LENGTH = 500;

/**
 * Reads an answer.
 * @param records how many the request held
 * @param nowMs wall clock, for a `Retry-After` that is a date
 */
export function readAnswer(response: HttpResponse, records: number, nowMs: number): Answer {
  const { status } = response;
  if (status >= 200 && status < 300) return readSuccess(response, records);
  const told = describe(response);
  if (status === 413) return { kind: 'too-large', told };
  if (status === 400 || status === 422) return { kind: 'refused', told };
  return { kind: 'outage', told, retryAfterMs: retryAfter(response, nowMs) };
}

const header = (response: HttpResponse, name: string): string => String(response.headers[name] ?? '');

/** A success counts only in the protocol's own words: a login page is a success of HTTP, too. */
function readSuccess(response: HttpResponse, records: number): Answer {
  const { status, body, cut } = response;
  const type = header(response, 'content-type').split(';', 1)[0]!.trim().toLowerCase();
  const outage = (why: string): Answer => ({ kind: 'outage', told: `${status}: ${why}`, retryAfterMs: undefined });
  if (body.length === 0) return { kind: 'accepted', warning: undefined };
  if (cut) return outage('the answer is too long to be one of OTLP');
  const read = type === 'application/json' ? readJson : type === 'application/x-protobuf' ? readProtobuf : undefined;
  if (read === undefined) return outage(`the answer is of the content type "${type.slice(0, 60)}", not one of OTLP`);
  const success = read(body);
  if (success === undefined) return outage('the answer is cut off or garbled');
  const { rejected } = success;
  const message = shorten(success.message);
  if (rejected <= 0) return { kind: 'accepted', warning: message === '' ? undefined : message };
  const told = `${status}: ${rejected} of ${records} rejected${message === '' ? '' : `: ${message}`}`;
  return rejected >= records ? { kind: 'refused', told } : { kind: 'partial', rejected, told };
}

interface Success {
  readonly rejected: number;
  readonly message: string;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** `ExportLogsServiceResponse`; undefined where the text is none. Names in snake case are JSON of protobuf as well. */
function readJson(body: Buffer): Success | undefined {
  let answer: unknown;
  try {
    answer = JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
  if (!isObject(answer)) return undefined;
  const partial = answer['partialSuccess'] ?? answer['partial_success'] ?? {};
  if (!isObject(partial)) return undefined;
  const rejected = Number(partial['rejectedLogRecords'] ?? partial['rejected_log_records'] ?? 0);
  if (!Number.isFinite(rejected)) return undefined;
  return { rejected, message: String(partial['errorMessage'] ?? partial['error_message'] ?? '') };
}

function readProtobuf(body: Buffer): Success | undefined {
  const partial = fieldsOf(body)?.get(1) ?? Buffer.alloc(0);
  const fields = fieldsOf(body) === undefined || typeof partial === 'number' ? undefined : fieldsOf(partial);
  if (fields === undefined) return undefined;
  const rejected = fields.get(1) ?? 0;
  const message = fields.get(2) ?? '';
  if (typeof rejected !== 'number') return undefined;
  return { rejected, message: message.toString() };
}

/** The fields of a protobuf message, the last of each number; undefined where the bytes are none. */
function fieldsOf(bytes: Buffer): Map<number, number | Buffer> | undefined {
  const fields = new Map<number, number | Buffer>();
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      if (byte === undefined || scale > 2 ** 63) return Number.NaN;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const type = tag % 8;
    if (type === 0) fields.set(Math.floor(tag / 8), varint());
    else {
      const length = type === 2 ? varint() : type === 1 ? 8 : type === 5 ? 4 : Number.NaN;
      if (!(at + length <= bytes.length)) return undefined;
      fields.set(Math.floor(tag / 8), bytes.subarray(at, at + length));
      at += length;
    }
    if (Number.isNaN(tag) || Number.isNaN(fields.get(Math.floor(tag / 8)))) return undefined;
  }
  return fields;
}

/** Both forms: seconds, or a date, which is measured by the receiver's own clock where it shows it. */
function retryAfter(response: HttpResponse, nowMs: number): number | undefined {
  const text = header(response, 'retry-after').trim();
  if (text === '') return undefined;
  let ms = Number.NaN;
  if (/^\d+$/.test(text)) ms = Number(text) * 1000;
  else if (/^[A-Za-z]{3}/.test(text)) {
    const theirs = Date.parse(header(response, 'date'));
    ms = Date.parse(text) - (Number.isNaN(theirs) ? nowMs : theirs);
  }
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS);
}

/** Status and what the receiver said, in one line. */
function describe(response: HttpResponse): string {
  const { status } = response;
  if (status >= 300 && status < 400) {
    const location = header(response, 'location').replace(/[?#].*$/s, '');
    return `${status}: redirected${location === '' ? '' : ` to ${shorten(location)}`}, which is not followed`;
  }
  const said = sayOf(response);
  return said === '' ? String(status) : `${status}: ${said}`;
}

function sayOf({ body, headers }: HttpResponse): string {
  if (String(headers['content-type'] ?? '').startsWith('application/x-protobuf')) {
    // google.rpc.Status
    return shorten(fieldsOf(body)?.get(2)?.toString() ?? '');
  }
  const text = body.toString('utf8');
  try {
    const { message } = JSON.parse(text);
    if (typeof message === 'string') return shorten(message);
  } catch {
    // Not JSON: the text itself says it.
  }
  return shorten(text);
}

function shorten(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim().toWellFormed();
  return line.length > MAX_TOLD_LENGTH ? `${line.slice(0, MAX_TOLD_LENGTH)}…`.toWellFormed() : line;
}
