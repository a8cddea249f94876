/** A receiver of OTLP/HTTP on the loopback interface whose answers a test chooses. */
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { type OtlpLogRecord, plainAttributes, visitRecords } from '../../src/audit/record/otlp.ts';

/** What a request held. */
export interface ReceivedRequest {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** `audit.sequence.number` of its records, in order; empty for protobuf. */
  readonly sequences: readonly number[];
  /** `audit.stream` of its records. */
  readonly streams: readonly string[];
  readonly records: readonly OtlpLogRecord[];
}

/** An answer, or a way to misbehave. */
export type Reply =
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string | Buffer }
  | ((response: ServerResponse, request: IncomingMessage) => void);

export const OK: Reply = { status: 200, headers: { 'content-type': 'application/json' }, body: '{}' };

/** An answer of partial success. */
export function partial(rejected: number, message = 'no'): Reply {
  const body = JSON.stringify({ partialSuccess: { rejectedLogRecords: String(rejected), errorMessage: message } });
  return { status: 200, headers: { 'content-type': 'application/json' }, body };
}

export interface Receiver {
  /** Base address, without a path. */
  readonly url: string;
  readonly requests: ReceivedRequest[];
  /** Numbers of the records that it answered well, in the order of their coming. */
  readonly accepted: number[];
  /** The same by stream. */
  readonly acceptedByStream: Map<string, number[]>;
  /** Chooses the answers. */
  reply: (request: ReceivedRequest, index: number) => Reply;
  close(): Promise<void>;
}

function read(request: IncomingMessage, body: Buffer): ReceivedRequest {
  const bytes = request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
  const records: OtlpLogRecord[] = [];
  if (request.headers['content-type'] === 'application/json') {
    if (!visitRecords(bytes.toString('utf8'), (record) => records.push(record))) throw new Error('no OTLP/JSON');
  }
  const attributes = records.map((record) => plainAttributes(record.attributes));
  return {
    path: request.url ?? '',
    headers: request.headers,
    body: bytes,
    records,
    sequences: attributes.map((one) => Number(one['audit.sequence.number'] ?? -1)),
    streams: attributes.map((one) => String(one['audit.stream'] ?? '')),
  };
}

/** Starts a receiver that accepts everything until `reply` is set. */
export async function startReceiver(tls?: ServerOptions, port = 0): Promise<Receiver> {
  const requests: ReceivedRequest[] = [];
  const accepted: number[] = [];
  const acceptedByStream = new Map<string, number[]>();
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('error', () => {});
    request.on('end', () => {
      const received = read(request, Buffer.concat(chunks));
      requests.push(received);
      const reply = receiver.reply(received, requests.length - 1);
      if (typeof reply === 'function') return reply(response, request);
      const good = reply.status >= 200 && reply.status < 300;
      if (good && !String(reply.body ?? '').includes('rejectedLogRecords')) {
        accepted.push(...received.sequences);
        for (const [i, stream] of received.streams.entries()) {
          const known = acceptedByStream.get(stream);
          if (known === undefined) acceptedByStream.set(stream, [received.sequences[i]!]);
          else known.push(received.sequences[i]!);
        }
      }
      response.writeHead(reply.status, reply.headers).end(reply.body ?? '');
    });
  };
  const server: Server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  const receiver: Receiver = {
    url: '',
    requests,
    accepted,
    acceptedByStream,
    reply: () => OK,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const { port: bound } = server.address() as AddressInfo;
  return Object.assign(receiver, { url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${bound}` });
}
