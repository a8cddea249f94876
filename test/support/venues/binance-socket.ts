/**
 * Binance's stream of an account's own orders: by the WebSocket API, and by an address with a listen key, as it was before.
 * https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream
 */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';

export interface BinanceSocket {
  readonly url: string;
  /** Texts that clients sent, and the paths that they asked for. */
  readonly received: readonly string[];
  close(): Promise<void>;
}

/** Until the client goes away the newest report comes again and again: it may not have listened yet. */
const AGAIN_MS = 100;
const FIN_TEXT = 0x81;
const CLOSE = 8;

function frame(text: string): Buffer {
  const body = Buffer.from(text);
  const head = body.length < 126 ? [FIN_TEXT, body.length] : [FIN_TEXT, 126, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.from(head), body]);
}

/** Frames of a client, which are masked; none is longer than 64 kB here. https://www.rfc-editor.org/rfc/rfc6455#section-5.2 */
function* readFrames(take: () => Buffer, used: (count: number) => void): Generator<{ opcode: number; text: string }> {
  for (;;) {
    const data = take();
    if (data.length < 2) return;
    const short = data[1]! & 0x7f;
    const header = short === 126 ? 4 : 2;
    if (data.length < header) return;
    const length = short === 126 ? data.readUInt16BE(2) : short;
    if (data.length < header + 4 + length) return;
    const mask = data.subarray(header, header + 4);
    const body = Buffer.from(data.subarray(header + 4, header + 4 + length).map((byte, i) => byte ^ mask[i % 4]!));
    used(header + 4 + length);
    yield { opcode: data[0]! & 0xf, text: body.toString('utf8') };
  }
}

/** @param reports `executionReport`s, sent in turn; the last one stays */
export async function startBinanceSocket(reports: readonly object[]): Promise<BinanceSocket> {
  const received: string[] = [];
  const sockets = new Set<Duplex>();
  const server = createServer();
  server.on('upgrade', (request, socket) => {
    sockets.add(socket);
    received.push(request.url ?? '');
    const accept = createHash('sha1')
      .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest('base64');
    const answer = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade'];
    socket.write(`${[...answer, `Sec-WebSocket-Accept: ${accept}`].join('\r\n')}\r\n\r\n`);
    let timer: NodeJS.Timeout | undefined;
    const report = (wrap: (event: object) => object) => {
      let next = 0;
      timer ??= setInterval(() => {
        socket.write(frame(JSON.stringify(wrap(reports[Math.min(next++, reports.length - 1)]!))));
      }, AGAIN_MS);
    };
    if (request.url?.includes('listenkey')) report((event) => event);
    let data = Buffer.alloc(0);
    const end = () => {
      clearInterval(timer);
      socket.destroy();
    };
    socket.on('error', end).on('close', end);
    socket.on('data', (chunk: Buffer) => {
      data = Buffer.concat([data, chunk]);
      const frames = readFrames(
        () => data,
        (count) => {
          data = data.subarray(count);
        },
      );
      for (const { opcode, text } of frames) {
        if (opcode === CLOSE) return end();
        received.push(text);
        const { id, method } = JSON.parse(text) as { id: unknown; method: string };
        if (!method.startsWith('userDataStream.subscribe')) continue;
        socket.write(frame(JSON.stringify({ id, status: 200, result: { subscriptionId: 0 } })));
        report((event) => ({ subscriptionId: 0, event }));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** A trade of the order 28, which the account placed. */
export function executionReport(trade: number, quantity: string, price: string, filled: string, cost: string): object {
  const status = filled === '0.50000' ? 'FILLED' : 'PARTIALLY_FILLED';
  return {
    ...{ e: 'executionReport', E: 1_750_000_000_500 + trade, s: 'BTCUSDT', c: 'bot-0', S: 'BUY', o: 'LIMIT', f: 'GTC' },
    ...{ q: '0.50000', p: '61000.00', P: '0', F: '0', g: -1, C: '', x: 'TRADE', X: status, r: 'NONE', i: 28 },
    ...{
      l: quantity,
      z: filled,
      L: price,
      n: '0',
      N: 'BTC',
      T: 1_750_000_000_400 + trade,
      t: trade,
      I: trade,
      w: false,
    },
    ...{ m: false, M: false, O: 1_750_000_000_000, Z: cost, Y: String(Number(quantity) * Number(price)), Q: '0' },
  };
}
