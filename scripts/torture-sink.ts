/**
 * The receiver of a torture run: takes OTLP/JSON and keeps each body as a line of a file, which is what a Collector's file
 * exporter does. Now and then it behaves as receivers do on a bad day.
 */
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import type { Random } from './torture-random.ts';

const FILE_BYTES = 100_000_000;
/** Shares of the requests that are answered badly. */
const BUSY = 0.01;
const LOST_ANSWER = 0.01;
const TOO_LARGE = 0.005;

/** What a sink did. */
export interface SinkCounts {
  requests: number;
  /** Bodies kept. */
  kept: number;
  /** Bodies kept whose answer was lost on the way. */
  lostAnswers: number;
  /** Requests refused with 503 or 413. */
  refused: number;
}

/** Listens on the loopback interface and writes to a directory. */
export class TortureSink {
  readonly counts: SinkCounts = { requests: 0, kept: 0, lostAnswers: 0, refused: 0 };
  /** While false, every request is answered as it should be. */
  moody = true;
  readonly #directory: string;
  readonly #random: Random;
  readonly #server: Server;
  #fd: number | undefined;
  #files = 0;
  #bytes = 0;

  private constructor(directory: string, random: Random) {
    this.#directory = directory;
    this.#random = random;
    mkdirSync(directory, { recursive: true });
    this.#server = createServer((request, answer) => void this.#take(request, answer));
  }

  static async open(directory: string, random: Random): Promise<TortureSink> {
    const sink = new TortureSink(directory, random);
    await new Promise<void>((resolve) => sink.#server.listen(0, '127.0.0.1', resolve));
    return sink;
  }

  /** What `OTEL_EXPORTER_OTLP_ENDPOINT` takes. */
  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    if (this.#fd !== undefined) closeSync(this.#fd);
  }

  async #take(request: IncomingMessage, answer: ServerResponse): Promise<void> {
    try {
      // A sender that is killed in the middle of its request leaves nothing here.
      const sent = await buffer(request);
      const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent;
      this.#answer(body, request, answer);
    } catch {
      request.socket.destroy();
    }
  }

  #answer(body: Buffer, request: IncomingMessage, answer: ServerResponse): void {
    this.counts.requests++;
    const mood = this.moody ? this.#random.next() : 1;
    if (mood < BUSY + TOO_LARGE) {
      this.counts.refused++;
      answer.writeHead(mood < BUSY ? 503 : 413).end();
      return;
    }
    this.#keep(body);
    if (mood < BUSY + TOO_LARGE + LOST_ANSWER) {
      this.counts.lostAnswers++;
      request.socket.destroy();
      return;
    }
    answer.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  }

  #keep(body: Buffer): void {
    if (this.#fd === undefined || this.#bytes > FILE_BYTES) {
      if (this.#fd !== undefined) closeSync(this.#fd);
      this.#fd = openSync(join(this.#directory, `audit-${String(this.#files++).padStart(6, '0')}.jsonl`), 'w');
      this.#bytes = 0;
    }
    for (const part of [body, Buffer.from('\n')]) {
      for (let done = 0; done < part.length; ) done += writeSync(this.#fd, part, done);
    }
    this.#bytes += body.length + 1;
    this.counts.kept++;
  }
}
