/** A proxy on the loopback interface between a shipper and a Collector, which a test can cut, slow down and let lie. */
import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

/** What the proxy does with a request. */
export type ProxyMode =
  /** Hands it on, and the answer back, `delayMs` later. */
  | { readonly kind: 'pass'; readonly delayMs?: number }
  /** Answers itself; the Collector sees nothing. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    }
  /** Sends bytes that need not be HTTP, then closes the connection; the Collector sees nothing. */
  | { readonly kind: 'raw'; readonly bytes: string }
  /** Hands it on and closes the connection instead of answering: the Collector has it, the sender can't know. */
  | { readonly kind: 'lose-answer' };

/** Bytes that are no HTTP. */
export const GARBAGE: ProxyMode = { kind: 'raw', bytes: '\u0000\u0001 this is no HTTP \u00ff\r\n\r\n' };

/** An answer that ends in its middle. */
export const HALF_ANSWER: ProxyMode = {
  kind: 'raw',
  bytes: 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"partialSucc',
};

/** The proxy, listening. */
export class StackProxy {
  readonly #target: number;
  readonly #port: number;
  readonly #server = createServer((incoming, answer) => void this.#handle(incoming, answer));
  readonly #agent = new Agent({ keepAlive: true });
  readonly #sockets = new Set<Socket>();
  #mode: ProxyMode = { kind: 'pass' };
  #requests = 0;
  #passed = 0;

  private constructor(target: number, port: number) {
    this.#target = target;
    this.#port = port;
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {
        // The other side went away: what a cut looks like.
      });
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /** Listens on `port` and hands on to `target`, both of 127.0.0.1. */
  static async open(target: number, port: number): Promise<StackProxy> {
    const proxy = new StackProxy(target, port);
    await proxy.mend();
    return proxy;
  }

  /** Base address for OTLP/HTTP. */
  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Requests that came. */
  get requests(): number {
    return this.#requests;
  }

  /** Requests that the Collector answered with a status of 2xx before the connection was cut. */
  get passed(): number {
    return this.#passed;
  }

  set mode(mode: ProxyMode) {
    this.#mode = mode;
  }

  /** Breaks all connections, in the middle of whatever they do, and refuses new ones. */
  async cut(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await closed;
  }

  /** Listens again after a cut. */
  async mend(): Promise<void> {
    if (this.#server.listening) return;
    const listening = once(this.#server, 'listening');
    this.#server.listen(this.#port, '127.0.0.1');
    await listening;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cut();
    this.#agent.destroy();
  }

  async #handle(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    this.#requests++;
    const mode = this.#mode;
    try {
      const body = await buffer(incoming);
      if (mode.kind === 'answer') {
        answer.writeHead(mode.status, { 'content-type': 'application/json', ...mode.headers }).end(mode.body ?? '{}');
      } else if (mode.kind === 'raw') {
        incoming.socket.end(mode.bytes, 'latin1');
      } else {
        await this.#handOn(incoming, body, answer, mode);
      }
    } catch {
      // As a cable would: neither side is told more than that it ended.
      incoming.socket.destroy();
    }
  }

  async #handOn(
    incoming: IncomingMessage,
    body: Buffer,
    answer: ServerResponse,
    mode: ProxyMode & { kind: 'pass' | 'lose-answer' },
  ): Promise<void> {
    const { 'transfer-encoding': _, ...headers } = incoming.headers;
    const outgoing = request({
      agent: this.#agent,
      host: '127.0.0.1',
      port: this.#target,
      method: incoming.method,
      path: incoming.url,
      headers: { ...headers, 'content-length': body.length },
    });
    const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>;
    outgoing.end(body);
    const [response] = await answered;
    const content = await buffer(response);
    const status = response.statusCode ?? 502;
    // A cut may have come while the Collector was at it.
    if (status >= 200 && status < 300 && !incoming.socket.destroyed) this.#passed++;
    if (mode.kind === 'lose-answer') {
      incoming.socket.destroy();
      return;
    }
    if (mode.delayMs !== undefined) await sleep(mode.delayMs);
    answer.writeHead(status, response.headers).end(content);
  }
}
