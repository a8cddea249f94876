import { appendFileSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { queryTrail } from '../../src/analysis/trail-query.ts';
import { ask, closeTestServers, startTestServer } from '../support/serve.ts';
import { removeTemporaryDirectories, temporaryDirectory } from '../support/temporary.ts';
import { groupedLine, line, lines, put, START_MS, STREAM_A, STREAM_B, segmentPath } from '../support/trail-lines.ts';

afterAll(async () => {
  await closeTestServers();
  removeTemporaryDirectories();
});

const at = (second: number) => ({ timeMs: START_MS + second * 1000 });
type Shown = { stream: string; sequence: number; timestamp: string; event: string; body: string };

/** All pages of a question, as they come. */
async function pages(server: Parameters<typeof ask>[0], query: string, max = 100): Promise<Shown[][]> {
  const found: Shown[][] = [];
  let cursor = '';
  for (let count = 0; count < max; count++) {
    const { status, json } = await ask(server, `/v1/events?${query}${cursor === '' ? '' : `&cursor=${cursor}`}`);
    expect(status).toBe(200);
    found.push(json.records);
    if (!json.page.more) return found;
    cursor = json.page.next;
  }
  throw new Error('the pages have no end');
}

/** Two streams at the same time, one of them in three segments, and a Collector's file with copies, out of order. */
function makeTrail(): string {
  const dir = temporaryDirectory();
  put(segmentPath(dir, STREAM_A, 0), lines(0, 20));
  put(segmentPath(dir, STREAM_A, 20), lines(20, 40));
  put(segmentPath(dir, STREAM_A, 40), lines(40, 50));
  let other = '';
  for (let n = 0; n < 30; n++) {
    other += line(n, {
      stream: STREAM_B,
      ...at(10 + n),
      event: n % 7 === 0 ? 'trade.exit' : 'order.filled',
      severityNumber: n % 10 === 0 ? 17 : 9,
      attributes: { 'trading.symbol': n % 5 === 0 ? 'AAPL' : 'MSFT' },
    });
  }
  put(segmentPath(dir, STREAM_B, 0), other);
  return dir;
}
const flat = async (dir: string) => {
  const all: Shown[] = [];
  for await (const batch of queryTrail([dir])) all.push(...(batch as unknown as Shown[]));
  return all;
};
const name = ({ stream, sequence }: Shown) => `${stream.slice(-4)}#${sequence}`;
const inOrder = (records: readonly Shown[]) =>
  records.toSorted((a, b) =>
    a.timestamp === b.timestamp
      ? a.stream < b.stream
        ? -1
        : a.stream > b.stream
          ? 1
          : a.sequence - b.sequence
      : a.timestamp < b.timestamp
        ? -1
        : 1,
  );

describe('pages of events', () => {
  it('hold every record once, in one order, forwards and backwards, whatever the size of a page', async () => {
    const dir = makeTrail();
    const server = await startTestServer(dir);
    const expected = inOrder(await flat(dir)).map(name);
    expect(expected).toHaveLength(80);
    for (const limit of [1, 7, 79, 80, 81, 1000]) {
      expect((await pages(server, `order=asc&limit=${limit}`)).flat().map(name)).toEqual(expected);
      expect((await pages(server, `order=desc&limit=${limit}`)).flat().map(name)).toEqual(expected.toReversed());
    }
  });

  it('are the same from sealed segments, and once where a segment stands in both forms', async () => {
    const dir = makeTrail();
    const expected = inOrder(await flat(dir)).map(name);
    const plain = segmentPath(dir, STREAM_A, 20);
    writeFileSync(`${plain}.zst`, zstdCompressSync(readFileSync(plain)));
    const server = await startTestServer(dir);
    expect((await pages(server, 'order=asc&limit=9')).flat().map(name)).toEqual(expected);
    rmSync(plain);
    expect((await pages(server, 'order=desc&limit=9')).flat().map(name)).toEqual(expected.toReversed());
  });

  it('are the same from segments of many pieces, with long lines in them, while they grow', async () => {
    const dir = temporaryDirectory();
    const path = segmentPath(dir, STREAM_A, 0);
    put(path, `${lines(0, 2500)}${line(2500, { body: 'x'.repeat(700_000) })}${lines(2501, 4000)}`);
    const server = await startTestServer(dir);
    const sequences = async (query: string) => (await pages(server, query)).flat().map(({ sequence }) => sequence);
    const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);
    expect(await sequences('order=asc&limit=900')).toEqual(upTo(4000));
    appendFileSync(path, lines(4000, 7000));
    expect(await sequences('order=desc&limit=900')).toEqual(upTo(7000).toReversed());
    expect(await sequences('order=asc&limit=900&since=2020-03-16T15:30:00Z')).toEqual(upTo(7000).slice(5400));
  });

  it('show what a file holds now, also where it was rewritten', async () => {
    const dir = temporaryDirectory();
    const path = segmentPath(dir, STREAM_A, 0);
    put(path, lines(0, 3));
    const server = await startTestServer(dir);
    expect((await ask(server, '/v1/events?limit=1')).json.records[0].body).toBe('record 2');
    writeFileSync(path, readFileSync(path, 'utf8').replace('record 2', 'RECORD 2'));
    expect((await ask(server, '/v1/events?limit=1')).json.records[0].body).toBe('RECORD 2');
  });

  it('put a Collector’s records into order and show what was delivered twice once', async () => {
    const dir = temporaryDirectory();
    put(
      join(dir, 'audit.jsonl'),
      `${groupedLine([[3], [1], [2]])}${line(1)}${line(0)}${line(undefined, { ...at(2), body: 'a plain line' })}`,
    );
    put(join(dir, 'audit-2.jsonl'), `${line(2)}${line(4)}`);
    const server = await startTestServer(dir);
    const found = (await pages(server, 'order=asc&limit=2')).flat();
    expect(found.map(({ sequence }) => sequence)).toEqual([0, 1, 2, null, 3, 4]);
  });

  it('filter as risktrail events does', async () => {
    const dir = makeTrail();
    const server = await startTestServer(dir);
    const all = inOrder(await flat(dir)) as unknown as Record<string, unknown>[];
    const cases: [string, (one: Record<string, unknown>) => boolean][] = [
      ['event=trade.*', (one) => String(one['event']).startsWith('trade.')],
      [
        'event=trade.exit&event=order.placed',
        (one) => one['event'] === 'trade.exit' || one['event'] === 'order.placed',
      ],
      ['category=error', (one) => Number(one['severity_number']) >= 17],
      ['category=trade&category=order', () => true],
      ['severity=ERROR', (one) => Number(one['severity_number']) >= 17],
      ['symbol=AAPL', (one) => one['trading.symbol'] === 'AAPL'],
      ['symbol=AAPL&event=trade.exit', (one) => one['trading.symbol'] === 'AAPL' && one['event'] === 'trade.exit'],
      [
        'since=2020-03-16T14:00:15Z&until=2020-03-16T14:00:20Z',
        (one) =>
          String(one['timestamp']) >= '2020-03-16T14:00:15' &&
          String(one['timestamp']) <= '2020-03-16T14:00:20.000000000Z',
      ],
      [`where=${encodeURIComponent('sequence>=25')}`, (one) => Number(one['sequence']) >= 25],
      ['account=nobody', () => false],
    ];
    for (const [query, test] of cases) {
      const expected = all.filter(test).map((one) => name(one as unknown as Shown));
      expect([query, (await pages(server, `${query}&order=asc&limit=3`)).flat().map(name)]).toEqual([query, expected]);
      expect([query, (await pages(server, `${query}&limit=4`)).flat().map(name)]).toEqual([
        query,
        expected.toReversed(),
      ]);
    }
  });

  it('stay what they are while the trail grows, and polling forwards goes on from where it was', async () => {
    const dir = temporaryDirectory();
    const path = segmentPath(dir, STREAM_A, 0);
    put(path, lines(0, 10));
    const server = await startTestServer(dir);
    const newest = (await ask(server, '/v1/events?limit=4')).json;
    const oldest = (await ask(server, '/v1/events?order=asc&limit=100')).json;
    expect(oldest.page).toMatchObject({ more: false, next: expect.any(String) });
    appendFileSync(path, lines(10, 15));
    expect(
      (await ask(server, `/v1/events?limit=4&cursor=${newest.page.next}`)).json.records.map(
        (one: Shown) => one.sequence,
      ),
    ).toEqual([5, 4, 3, 2]);
    const more = (await ask(server, `/v1/events?order=asc&limit=100&cursor=${oldest.page.next}`)).json;
    expect(more.records.map((one: Shown) => one.sequence)).toEqual([10, 11, 12, 13, 14]);
    const none = (await ask(server, `/v1/events?order=asc&limit=100&cursor=${more.page.next}`)).json;
    expect(none).toMatchObject({ records: [], page: { next: more.page.next, more: false } });
  });

  it('pass over a torn last line until it is whole', async () => {
    const dir = temporaryDirectory();
    const path = segmentPath(dir, STREAM_A, 0);
    const torn = line(3);
    put(path, `${lines(0, 3)}${torn.slice(0, 200)}`);
    const server = await startTestServer(dir);
    const sequences = async () => (await ask(server, '/v1/events')).json.records.map((one: Shown) => one.sequence);
    expect(await sequences()).toEqual([2, 1, 0]);
    appendFileSync(path, torn.slice(200));
    expect(await sequences()).toEqual([3, 2, 1, 0]);
  });

  it('go on behind what was pruned, sealed or rotated meanwhile', async () => {
    const dir = makeTrail();
    const server = await startTestServer(dir);
    const first = (await ask(server, '/v1/events?order=asc&limit=5')).json;
    rmSync(segmentPath(dir, STREAM_A, 0));
    const second = (await ask(server, `/v1/events?order=asc&limit=3&cursor=${first.page.next}`)).json;
    expect(second.records.map(name)).toEqual(['1ded#0', '1ded#1', '1ded#2']);
    renameSync(segmentPath(dir, STREAM_A, 40), `${segmentPath(dir, STREAM_A, 40)}.gone`);
    expect((await ask(server, '/v1/events?limit=1')).json.records.map(name)).toEqual(['1ded#29']);
  });

  it('have an entity tag that holds until the trail changes', async () => {
    const dir = temporaryDirectory();
    const path = segmentPath(dir, STREAM_A, 0);
    put(path, lines(0, 3));
    const server = await startTestServer(dir);
    const first = await ask(server, '/v1/events');
    const tag = first.headers.get('etag')!;
    const same = await ask(server, '/v1/events', { headers: { 'if-none-match': tag } });
    expect([same.status, same.text, same.headers.get('etag')]).toEqual([304, '', tag]);
    expect((await ask(server, '/v1/events?limit=2', { headers: { 'if-none-match': tag } })).status).toBe(200);
    appendFileSync(path, line(3));
    const changed = await ask(server, '/v1/events', { headers: { 'if-none-match': tag } });
    expect([changed.status, changed.json.records.length]).toEqual([200, 4]);
  });
});

describe('one event', () => {
  it('is found by its id, in any file, and told not to be there', async () => {
    const dir = makeTrail();
    const server = await startTestServer(dir);
    const id = `${STREAM_A}#23`;
    const found = await ask(server, `/v1/events/${encodeURIComponent(id)}`);
    expect(found.json.record).toMatchObject({ sequence: 23, stream: STREAM_A });
    const missing = await ask(server, '/v1/events/019aa41e-9e46-7ddb-af71-000000000001');
    expect([missing.status, missing.json.code]).toEqual([404, 'RECORD_NOT_FOUND']);
  });
});

describe('the live tail', () => {
  /** Reads events until there are enough. */
  async function read(
    server: Parameters<typeof ask>[0],
    path: string,
    count: number,
    headers: Record<string, string> = {},
    meanwhile?: () => void,
  ) {
    const stop = new AbortController();
    const response = await fetch(new URL(path, server.url), { signal: stop.signal, headers });
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    const events: { id: string; sequence: number }[] = [];
    let text = '';
    let told = false;
    try {
      for await (const chunk of response.body!) {
        text += Buffer.from(chunk).toString('utf8');
        events.length = 0;
        for (const part of text.split('\n\n')) {
          const match = /^id: (\S+)\nevent: record\ndata: (.*)$/.exec(part);
          if (match !== null && part.endsWith('}'))
            events.push({ id: match[1]!, sequence: JSON.parse(match[2]!).sequence });
        }
        if (!told && events.length > 0) {
          told = true;
          meanwhile?.();
        }
        if (events.length >= count) break;
      }
    } finally {
      stop.abort();
    }
    return events;
  }

  it('has the last records, then new ones; and from Last-Event-ID on all that was missed, each once', async () => {
    const dir = temporaryDirectory();
    const path = segmentPath(dir, STREAM_A, 0);
    put(path, lines(0, 10));
    const server = await startTestServer(dir);
    const first = await read(server, '/v1/tail?last=2', 4, {}, () => appendFileSync(path, lines(10, 12)));
    expect(first.map(({ sequence }) => sequence)).toEqual([8, 9, 10, 11]);
    appendFileSync(path, lines(12, 14));
    const resumed = await read(server, '/v1/tail', 5, { 'last-event-id': first[1]!.id }, () =>
      appendFileSync(path, line(14)),
    );
    expect(resumed.map(({ sequence }) => sequence)).toEqual([10, 11, 12, 13, 14]);
  });

  it('filters', async () => {
    const dir = makeTrail();
    const server = await startTestServer(dir);
    const found = await read(server, '/v1/tail?last=2&event=trade.exit', 2);
    expect(found.map(({ sequence }) => sequence)).toEqual([21, 28]);
  });

  it('ends with the server', async () => {
    const dir = makeTrail();
    const server = await startTestServer(dir);
    const response = await fetch(new URL('/v1/tail', server.url));
    const ended = (async () => {
      for await (const _ of response.body!);
    })();
    await server.close();
    await ended;
  });
});
