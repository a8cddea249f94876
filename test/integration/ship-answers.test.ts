import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import protobuf from 'protobufjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readShippedPosition } from '../../src/audit/journal/shipped-position.ts';
import type { RejectedRecord } from '../../src/audit/ship/rejected.ts';
import { readShipperSettings, type ShipperSettings } from '../../src/audit/ship/settings.ts';
import { type ShipDirectoryOptions, type ShipResult, shipDirectory } from '../../src/audit/ship/ship-directory.ts';
import { temporaryDirectory } from '../support/journal.ts';
import { MadeStream, upTo } from '../support/made-stream.ts';
import { OTLP_PROTO } from '../support/otlp-proto.ts';
import { OK, partial, type Receiver, type Reply, startReceiver } from '../support/otlp-receiver.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let receiver: Receiver;
let told: string[];
let rejected: RejectedRecord[];

beforeEach(async () => {
  directory = temporaryDirectory();
  receiver = await startReceiver();
  told = [];
  rejected = [];
});
afterEach(async () => {
  await receiver.close();
  directory.remove();
});

/** Settings with short pauses. */
function settingsFor(env: Record<string, string> = {}, more: Partial<ShipperSettings> = {}): ShipperSettings {
  const settings = readShipperSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, ...env });
  return { ...settings!, maxBatchRecords: 16, backOffMs: 4, maxBackOffMs: 16, ...more };
}

const ship = (settings = settingsFor(), more: ShipDirectoryOptions = {}): Promise<ShipResult> =>
  shipDirectory(directory.path, settings, {
    onError: (error, what) => told.push(`${what}: ${(error as Error).message}`),
    onRejected: (record) => rejected.push(record),
    ...more,
  });

const html = { 'content-type': 'text/html' };
const json = { 'content-type': 'application/json' };

const TROUBLES: readonly (readonly [string, Reply, RegExp, boolean])[] = [
  ['429 with seconds', { status: 429, headers: { 'retry-after': '0' } }, /: 429$/, false],
  [
    '503 with a date',
    { status: 503, headers: { 'retry-after': new Date(0).toUTCString() }, body: 'tired' },
    /503: tired/,
    false,
  ],
  ['502', { status: 502 }, /: 502$/, false],
  ['504', { status: 504 }, /: 504$/, false],
  ['500', { status: 500, headers: json, body: '{"message":"broken"}' }, /500: broken/, false],
  ['401', { status: 401, body: 'who are you' }, /401: who are you/, false],
  ['403', { status: 403 }, /: 403$/, false],
  ['404', { status: 404, headers: html, body: '<h1>Not here</h1>' }, /404: <h1>Not here/, false],
  ['a redirect', { status: 302, headers: { location: '/elsewhere' } }, /302: redirected to \/elsewhere/, false],
  ['a login page', { status: 200, headers: html, body: '<form>' }, /content type "text\/html"/, false],
  ['a garbled success', { status: 200, headers: json, body: '{"partialSuccess":' }, /cut off or garbled/, false],
  ['an endless success', { status: 200, headers: json, body: ' '.repeat(100_000) }, /too long/, false],
  ['no answer at all', (response) => void response.socket?.destroy(), /socket hang up|ECONNRESET/, true],
  ['a reset connection', (response) => void response.socket?.resetAndDestroy(), /socket hang up|ECONNRESET/, true],
  [
    'half an answer',
    (response) => {
      response.writeHead(200, { ...json, 'content-length': '50' });
      response.write('{"partial');
      setTimeout(() => response.socket?.destroy(), 5);
    },
    /aborted|terminated|ECONNRESET/,
    true,
  ],
  [
    'an answer that never ends',
    (response) => {
      response.writeHead(200, json);
      response.write(' ');
    },
    /no whole answer within 150 ms/,
    true,
  ],
  ['silence', () => {}, /no whole answer within 150 ms/, true],
];

describe('shipping through trouble', () => {
  it.each(TROUBLES)('loses nothing by %s, and tells of it once', async (_name, reply, message) => {
    const made = new MadeStream(directory.path).add(40);
    receiver.reply = (_request, index) => (index === 1 || index === 2 ? reply : OK);
    const result = await ship(settingsFor({ OTEL_EXPORTER_OTLP_TIMEOUT: '150' }));
    expect(result).toMatchObject({ complete: true, sentRecords: 40, rejectedRecords: 0, remainingRecords: 0 });
    expect([...new Set(receiver.accepted)]).toEqual(upTo(40));
    expect(told).toHaveLength(1);
    expect(told[0]).toMatch(message);
    expect(readShippedPosition(made.directory)).toMatchObject({ stream: made.stream, sequence: 40 });
    expect(receiver.requests.every(({ path }) => path === '/v1/logs')).toBe(true);
  });

  it.each([400, 401, 403, 404, 413, 422, 500])(
    'sets nothing aside where everything is answered by %i, and says so in the end',
    async (status) => {
      const made = new MadeStream(directory.path).add(10);
      receiver.reply = () => ({ status, body: 'never' });
      const result = await ship(settingsFor(), { giveUpMs: 50 });
      expect(result).toMatchObject({ complete: false, sentRecords: 0, rejectedRecords: 0, remainingRecords: 10 });
      expect(result.lastError).toContain(`${status}: never`);
      expect(['refused', 'stopped']).toContain(result.streams[0]!.outcome);
      expect(rejected).toEqual([]);
      expect(readShippedPosition(made.directory)).toBeUndefined();
      // All of it is sent as soon as the receiver is well again.
      receiver.reply = () => OK;
      expect(await ship()).toMatchObject({ complete: true, sentRecords: 10 });
    },
  );

  it('sets a refused record aside with the answer, and sends the others', async () => {
    const made = new MadeStream(directory.path).add(50);
    receiver.reply = ({ sequences }) => {
      if (sequences.includes(7)) return { status: 400, headers: json, body: '{"message":"too old"}' };
      return sequences.includes(40) ? partial(1, 'too new') : OK;
    };
    const result = await ship();
    expect(result).toMatchObject({ complete: true, sentRecords: 48, rejectedRecords: 2 });
    expect(receiver.accepted.toSorted((a, b) => a - b).filter((one, i, all) => all[i - 1] !== one)).toEqual(
      upTo(50).filter((one) => one !== 7 && one !== 40),
    );
    const [first, second] = rejected;
    expect(first).toMatchObject({ sequence: 7, stream: made.stream, answer: '400: too old' });
    expect(second).toMatchObject({ sequence: 40, answer: '200: 1 of 1 rejected: too new' });
    const files = readdirSync(join(made.directory, 'rejected')).sort();
    expect(files).toEqual(['00000000000000000007.json', '00000000000000000040.json']);
    const kept = JSON.parse(readFileSync(first!.path, 'utf8'));
    expect(kept).toMatchObject({ version: 1, sequence: 7, answer: '400: too old' });
    expect(JSON.parse(kept.line).resourceLogs[0].scopeLogs[0].logRecords[0].timeUnixNano).toMatch(/^17/);
  });

  it('halves what is too large, and sets aside what is too large alone', async () => {
    new MadeStream(directory.path).add(9).add(1, () => ({ body: 'x'.repeat(50_000) }));
    receiver.reply = ({ body }) => (body.length > 3_000 ? { status: 413 } : OK);
    const result = await ship();
    expect(result).toMatchObject({ complete: true, sentRecords: 9, rejectedRecords: 1 });
    expect(rejected[0]).toMatchObject({ sequence: 9, answer: '413' });
  });

  it('believes a receiver that answers before it has read everything, and hangs up', async () => {
    new MadeStream(directory.path).add(4, () => ({ body: 'x'.repeat(1_000_000) }));
    const accepted: number[] = [];
    const server = createServer((socket) => {
      let bytes = 0;
      let length = -1;
      let head = '';
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        bytes += chunk.length;
        if (length < 0) {
          head += chunk.toString('latin1');
          const match = /content-length: (\d+)/i.exec(head);
          if (match === null) return;
          length = Number(match[1]);
          if (length > 2_500_000)
            socket.end('HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
        }
        if (length <= 2_500_000 && bytes >= length) {
          accepted.push(length);
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
          [bytes, length, head] = [0, -1, ''];
        }
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const settings = settingsFor({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` });
    const result = await ship({ ...settings, maxBatchBytes: 10_000_000 });
    server.close();
    expect(result).toMatchObject({ complete: true, sentRecords: 4 });
    expect(accepted.length).toBeGreaterThan(1);
  });

  it.each(['http/json', 'http/protobuf'] as const)(
    'sends each request as it was made (%s) to a receiver that answers first and reads later',
    async (protocol) => {
      const texts = upTo(120).map((one) => `<${one}>`.repeat(80_000));
      new MadeStream(directory.path).add(120, (index) => ({ body: texts[index]! }));
      const bodies: { readonly length: number; readonly chunks: Buffer[]; missing: number }[] = [];
      const server = createServer((socket) => {
        let head = Buffer.alloc(0);
        let body: (typeof bodies)[number] | undefined;
        socket.on('error', () => {});
        socket.on('data', (chunk) => {
          for (let rest = chunk; rest.length > 0; ) {
            if (body === undefined) {
              head = Buffer.concat([head, rest]);
              const end = head.indexOf('\r\n\r\n');
              if (end < 0) return;
              const length = Number(/content-length: (\d+)/i.exec(head.toString('latin1', 0, end))![1]);
              body = { length, chunks: [], missing: length };
              bodies.push(body);
              rest = head.subarray(end + 4);
              head = Buffer.alloc(0);
              socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
              socket.pause();
              setTimeout(() => socket.resume(), 20);
            }
            const part = rest.subarray(0, body.missing);
            body.chunks.push(part);
            body.missing -= part.length;
            rest = rest.subarray(part.length);
            if (body.missing === 0) body = undefined;
          }
        });
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as { port: number };
      const settings = settingsFor({
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
        OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
      });
      const result = await ship({ ...settings, maxBatchRecords: 1_000, maxBatchBytes: 8_000_000 });
      server.close();
      expect(result).toMatchObject({ complete: true, sentRecords: 120 });
      const whole = bodies.filter(({ missing }) => missing === 0).map(({ chunks }) => Buffer.concat(chunks).toString());
      // The last ones are cut off by the end of the shipping: their answers had come.
      expect(whole.length).toBeGreaterThan(bodies.length - 3);
      expect(whole.length).toBeGreaterThan(2);
      const found = whole.flatMap((text) =>
        [...text.matchAll(/<(\d+)>(?:<\1>)*/g)].map(([run, index]) =>
          run === texts[Number(index)] ? Number(index) : run,
        ),
      );
      expect(found).toEqual(upTo(found.length));
    },
  );

  it('names a host that does not exist, and sends nothing', async () => {
    new MadeStream(directory.path).add(3);
    const result = await ship(settingsFor({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://nonexistent.invalid:4318' }), {
      giveUpMs: 100,
    });
    expect(result).toMatchObject({ complete: false, remainingRecords: 3, streams: [{ outcome: 'stopped' }] });
    expect(result.lastError).toMatch(/nonexistent\.invalid:4318: .*(ENOTFOUND|EAI_AGAIN)/);
  });

  it('names a port where nobody listens', async () => {
    new MadeStream(directory.path).add(3);
    await receiver.close();
    const result = await ship(settingsFor(), { giveUpMs: 100 });
    expect(result.lastError).toContain('ECONNREFUSED');
    receiver = await startReceiver();
    expect(await ship()).toMatchObject({ complete: true, sentRecords: 3 });
  });

  it('tells a warning that comes with a success once', async () => {
    new MadeStream(directory.path).add(64);
    receiver.reply = () => ({ status: 200, headers: json, body: '{"partialSuccess":{"errorMessage":"move on"}}' });
    expect(await ship()).toMatchObject({ complete: true });
    expect(told).toEqual(['answer of the receiver: move on']);
  });
});

describe('a request', () => {
  it('has the headers of the settings, and a user and password of the address', async () => {
    new MadeStream(directory.path).add(1);
    const { host } = new URL(receiver.url);
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://me:p%40ss@${host}`,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-a=1,x-b=%20',
    };
    const result = await ship(settingsFor(env));
    expect(receiver.requests[0]!.headers).toMatchObject({
      authorization: `Basic ${Buffer.from('me:p@ss').toString('base64')}`,
      'x-a': '1',
      'content-type': 'application/json',
    });
    expect(result.endpoint).toBe(`http://${host}/v1/logs`);
  });

  it('is compressed where that is asked for', async () => {
    new MadeStream(directory.path).add(20);
    await ship(settingsFor({ OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip' }));
    expect(receiver.requests[0]!.headers['content-encoding']).toBe('gzip');
    expect(Number(receiver.requests[0]!.headers['content-length'])).toBeLessThan(
      gzipSync(receiver.requests[0]!.body, { level: 1 }).length + 1,
    );
    expect(receiver.accepted).toEqual(upTo(20));
  });

  it('is protobuf where that is asked for, and so may the answer be', async () => {
    new MadeStream(directory.path).add(20);
    const reply = Buffer.from('0a00', 'hex');
    receiver.reply = () => ({ status: 200, headers: { 'content-type': 'application/x-protobuf' }, body: reply });
    expect(await ship(settingsFor({ OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf' }))).toMatchObject({ complete: true });
    const type = protobuf.parse(OTLP_PROTO).root.lookupType('ExportLogsServiceRequest');
    const [first] = receiver.requests.map(({ body }) => type.toObject(type.decode(body)));
    expect(first!['resourceLogs'][0].scopeLogs[0].logRecords).toHaveLength(16);
  });

  it('goes over a connection that is kept, also when the receiver ends it between two', async () => {
    new MadeStream(directory.path).add(64);
    const sockets = new Set<unknown>();
    receiver.reply = () => (response, request) => {
      sockets.add(request.socket);
      receiver.accepted.push(0);
      response.writeHead(200, json).end('{}');
    };
    await ship();
    expect(receiver.requests).toHaveLength(4);
    expect(sockets.size).toBe(1);
  });
});
