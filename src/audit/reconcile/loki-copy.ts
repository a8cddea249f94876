/**
 * Reads a copy of a trail that lies in Loki (https://grafana.com/docs/loki/latest/reference/loki-http-api/#query-logs-within-a-range-of-time),
 * to which a Collector sent it by OTLP: the record's attributes are structured metadata, dots turned to underscores. Loki holds
 * no record as it was written, so only the hash that each bears is compared, not recomputed.
 */
import { RiskTrailError } from '../../core/errors.ts';
import { decodeHash } from '../proof/note.ts';
import type { StreamLedger } from './stream-ledger.ts';

/** A Loki to ask. */
export interface LokiSource {
  /** Its address, as in `http://loki:3100`; a user and password in it are sent as such. */
  readonly url: string;
  /** Further headers: `X-Scope-OrgID` names a tenant. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Entries asked for at once; Loki's own limit is 5000. @default 5000 */
  readonly limit?: number | undefined;
  /** Pause after a first failed request, in milliseconds; doubled with each further one. @default 500 */
  readonly retryMs?: number | undefined;
}

/** An entry as far as it matters. */
interface Entry {
  /** Nanoseconds since the epoch. */
  readonly time: bigint;
  readonly sequence: number;
  readonly claim: Uint8Array | undefined;
}

const DEFAULT_LIMIT = 5000;
const RETRY_MS = 500;
const ATTEMPTS = 5;
const TIMEOUT_MS = 60_000;
const MINUTE_MS = 60_000;
/** A day: Loki refuses to look through much more than a month at once. */
const WINDOW_NS = 86_400_000_000_000n;
const NS_PER_MS = 1_000_000n;
const MAX_TOLD = 300;
const NUMBER = 'audit_sequence_number';

const quote = (text: string) => JSON.stringify(text);

/** Part of a stream in Loki: times from `start` to below `end`, numbers from `from` to below `to` where given. */
interface Slice {
  readonly start: bigint;
  readonly end: bigint;
  readonly numbers?: { readonly from: number; readonly to: number };
}

class LokiReader {
  readonly #source: LokiSource;
  readonly #ledger: StreamLedger;
  readonly #limit: number;
  readonly #add: (entry: Entry) => void;

  constructor(source: LokiSource, ledger: StreamLedger, add: (entry: Entry) => void) {
    this.#source = source;
    this.#ledger = ledger;
    this.#limit = source.limit ?? DEFAULT_LIMIT;
    this.#add = add;
  }

  /** Reads a slice page by page: each begins at the last time of the one before, whose entries are not counted again. */
  async read(slice: Slice): Promise<void> {
    let { start } = slice;
    let counted = new Set<number>();
    while (start < slice.end) {
      const entries = await this.#ask({ ...slice, start });
      const full = entries.length >= this.#limit;
      const last = entries.at(-1)?.time ?? slice.end;
      if (full && last === start) {
        await this.#readInstant(start, counted);
        start += 1n;
        counted = new Set();
        continue;
      }
      const atLast = new Set<number>();
      for (const entry of entries) {
        if (!(entry.time === start && counted.has(entry.sequence))) this.#add(entry);
        if (entry.time === last) atLast.add(entry.sequence);
      }
      if (!full) return;
      start = last;
      counted = atLast;
    }
  }

  /** More entries of one time than Loki gives at once: asks for parts by number. */
  async #readInstant(time: bigint, counted: ReadonlySet<number>): Promise<void> {
    const parts = [{ from: 0, to: Math.max(this.#ledger.size, 1) * 2 }];
    for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
      const entries = await this.#ask({ start: time, end: time + 1n, numbers: part });
      if (entries.length >= this.#limit && part.to - part.from > 1) {
        const middle = Math.floor((part.from + part.to) / 2);
        parts.push({ from: middle, to: part.to }, { from: part.from, to: middle });
        continue;
      }
      for (const entry of entries) if (!counted.has(entry.sequence)) this.#add(entry);
    }
  }

  async #ask({ start, end, numbers }: Slice): Promise<Entry[]> {
    const { stream } = this.#ledger;
    const service = this.#ledger.service ?? stream.slice(0, stream.lastIndexOf('/'));
    const range = numbers === undefined ? '' : ` | ${NUMBER} >= ${numbers.from} | ${NUMBER} < ${numbers.to}`;
    const query =
      `{service_name=${quote(service)}} | audit_stream=${quote(stream)}${range}` +
      ` | keep audit_stream, ${NUMBER}, audit_integrity_value`;
    const url = new URL(this.#source.url);
    url.pathname = `${url.pathname.replace(/\/+$/, '')}/loki/api/v1/query_range`;
    const parameters = { query, start, end, limit: this.#limit, direction: 'forward' };
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, String(value));
    return parseEntries(await this.#get(url), stream);
  }

  async #get(address: URL): Promise<unknown> {
    const url = new URL(address);
    const headers: Record<string, string> = { accept: 'application/json', ...this.#source.headers };
    if (url.username !== '' || url.password !== '') {
      const user = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
      headers['authorization'] = `Basic ${Buffer.from(user).toString('base64')}`;
      url.username = '';
      url.password = '';
    }
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#attempt(url, headers);
      if ('body' in answer) return answer.body;
      if (!answer.again || attempt === ATTEMPTS) {
        throw new RiskTrailError('LOKI_UNREADABLE', { url: `${url.origin}${url.pathname}`, reason: answer.reason });
      }
      const pauseMs = (this.#source.retryMs ?? RETRY_MS) * 2 ** (attempt - 1);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  async #attempt(
    url: URL,
    headers: Record<string, string>,
  ): Promise<{ body: unknown } | { reason: string; again: boolean }> {
    try {
      const response = await fetch(url, { headers, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) });
      const text = await response.text();
      if (response.ok) return { body: JSON.parse(text) };
      const again = response.status === 429 || response.status >= 500;
      return { reason: `HTTP ${response.status}: ${text.trim().slice(0, MAX_TOLD)}`, again };
    } catch (error) {
      const { message, cause } = error as Error;
      return { reason: cause instanceof Error ? `${message}: ${cause.message}` : message, again: true };
    }
  }
}

type Labels = Readonly<Record<string, unknown>>;

/** The entries of an answer, in the order of their times. Metadata stands among the labels or, on request, beside each line. */
function parseEntries(body: unknown, stream: string): Entry[] {
  const result = (body as { data?: { result?: unknown } } | null)?.data?.result;
  if (!Array.isArray(result)) {
    throw new RiskTrailError('LOKI_UNREADABLE', { url: 'the answer', reason: 'it is none of query_range' });
  }
  const entries: Entry[] = [];
  for (const one of result as { stream?: Labels; values?: unknown }[]) {
    for (const value of (one.values ?? []) as [string, string, { structuredMetadata?: Labels }?][]) {
      const labels = { ...one.stream, ...value[2]?.structuredMetadata };
      const sequence = Number(labels[NUMBER]);
      if (labels['audit_stream'] !== stream || !Number.isSafeInteger(sequence) || sequence < 0) continue;
      const claim = labels['audit_integrity_value'];
      entries.push({
        time: BigInt(value[0]),
        sequence,
        claim: typeof claim === 'string' ? decodeHash(claim) : undefined,
      });
    }
  }
  return entries.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
}

/** Milliseconds in a UUIDv7, when its stream was begun; Infinity for others. */
function begunMs(stream: string): number {
  const match = /([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/.exec(stream);
  return match === null ? Number.POSITIVE_INFINITY : Number.parseInt(`${match[1]}${match[2]}`, 16);
}

/**
 * Reads what Loki holds of a stream into its ledger.
 * @param copy its place among the copies
 * @param nowMs the time now: an open stream may have gone on since the journal was read
 * @throws RiskTrailError LOKI_UNREADABLE
 */
export async function readLokiCopy(
  source: LokiSource,
  ledger: StreamLedger,
  copy: number,
  nowMs: number,
): Promise<void> {
  const lost = ledger.firstMs === Number.POSITIVE_INFINITY;
  const begun = lost || ledger.pruned > 0 ? begunMs(ledger.stream) : Number.POSITIVE_INFINITY;
  const firstMs = Math.min(ledger.firstMs, begun);
  // Of a stream that the journal has lost, only a UUIDv7 tells when it was begun.
  if (firstMs === Number.POSITIVE_INFINITY) return;
  const reader = new LokiReader(source, ledger, ({ sequence, claim }) => ledger.add(copy, sequence, claim, true));
  const lastMs = ledger.closed ? ledger.lastMs : Math.max(ledger.lastMs, nowMs);
  const from = BigInt(Math.floor(firstMs) - MINUTE_MS) * NS_PER_MS;
  const to = BigInt(Math.ceil(lastMs) + MINUTE_MS) * NS_PER_MS;
  for (let start = from > 0n ? from : 0n; start < to; start += WINDOW_NS) {
    await reader.read({ start, end: start + WINDOW_NS < to ? start + WINDOW_NS : to });
  }
}
