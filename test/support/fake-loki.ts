/**
 * A Loki on loopback that answers `query_range` as the real one does: selector and label filters, `start` included and `end`
 * not, `limit`, direction, structured metadata among the labels of each stream of the answer, times as strings of nanoseconds.
 */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A record as Loki keeps it. */
export interface LokiEntry {
  readonly timeNs: string;
  readonly line: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** One that runs. */
export interface FakeLoki {
  readonly url: string;
  readonly entries: LokiEntry[];
  /** Headers and queries that came. */
  readonly requests: { readonly headers: IncomingHttpHeaders; readonly query: URLSearchParams }[];
  /** Statuses that the next requests get instead of an answer. */
  readonly failures: number[];
  /** What Loki gives at most; a request for more is refused. */
  maxEntries: number;
  close(): void;
}

const FILTER = /\|\s*(\w+)\s*(>=|<=|=|<|>)\s*("(?:[^"\\]|\\.)*"|\d+)/g;

function matches(entry: LokiEntry, query: string): boolean {
  const selector = /^\{service_name=("(?:[^"\\]|\\.)*")\}/.exec(query);
  if (selector === null || entry.labels['service_name'] !== JSON.parse(selector[1] as string)) return false;
  for (const [, name, operator, value] of query.matchAll(FILTER)) {
    const held = entry.labels[name as string] ?? '';
    if ((value as string).startsWith('"')) {
      if (operator !== '=' || held !== JSON.parse(value as string)) return false;
    } else {
      const [a, b] = [Number(held), Number(value)];
      const fits = { '>=': a >= b, '<=': a <= b, '=': a === b, '<': a < b, '>': a > b }[operator as '='];
      if (!fits) return false;
    }
  }
  return true;
}

function answer(loki: FakeLoki, query: URLSearchParams): unknown {
  const text = query.get('query') as string;
  const [start, end] = [BigInt(query.get('start') as string), BigInt(query.get('end') as string)];
  const keep = /\|\s*keep\s+([\w, ]+)/.exec(text)?.[1]?.split(/,\s*/);
  const found = loki.entries
    .filter(({ timeNs }) => BigInt(timeNs) >= start && BigInt(timeNs) < end)
    .filter((entry) => matches(entry, text))
    .sort((a, b) => (BigInt(a.timeNs) < BigInt(b.timeNs) ? -1 : BigInt(a.timeNs) > BigInt(b.timeNs) ? 1 : 0))
    .slice(0, Number(query.get('limit')));
  const streams = new Map<string, { stream: Record<string, string>; values: [string, string][] }>();
  for (const { timeNs, line, labels } of found) {
    const stream = Object.fromEntries(Object.entries(labels).filter(([name]) => keep?.includes(name) ?? true));
    const key = JSON.stringify(stream);
    const one = streams.get(key) ?? { stream, values: [] };
    one.values.push([timeNs, line]);
    streams.set(key, one);
  }
  // The order of the streams in an answer is nobody's business.
  return { status: 'success', data: { resultType: 'streams', result: [...streams.values()].reverse(), stats: {} } };
}

/** Starts one; `close` it. */
export async function startFakeLoki(): Promise<FakeLoki> {
  const server = createServer((request, response) => {
    const url = new URL(request.url as string, 'http://loki');
    loki.requests.push({ headers: request.headers, query: url.searchParams });
    const failure = loki.failures.shift();
    if (failure === 0) {
      request.socket.destroy();
    } else if (failure !== undefined) {
      response.writeHead(failure).end('not now\n');
    } else if (url.pathname !== '/loki/api/v1/query_range' || url.searchParams.get('direction') !== 'forward') {
      response.writeHead(404).end('404 page not found\n');
    } else if (Number(url.searchParams.get('limit')) > loki.maxEntries) {
      response.writeHead(400).end('max entries limit per query exceeded, limit > max_entries_limit_per_query\n');
    } else {
      response
        .writeHead(200, { 'content-type': 'application/json; charset=UTF-8' })
        .end(JSON.stringify(answer(loki, url.searchParams)));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const loki: FakeLoki = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    entries: [],
    requests: [],
    failures: [],
    maxEntries: 5000,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
  return loki;
}
