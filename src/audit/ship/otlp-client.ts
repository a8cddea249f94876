/**
 * Posts requests to an OTLP/HTTP endpoint over connections that are kept. It never throws: what goes wrong is an answer.
 */
import { readFileSync } from 'node:fs';
import type { Agent as HttpAgent, IncomingMessage, RequestOptions } from 'node:http';
import type { Clock } from '../../core/clock.ts';
import { RiskTrailError } from '../../core/errors.ts';
import { type Answer, MAX_ANSWER_BYTES, readAnswer } from './answer.ts';
import { type ShipperSettings, withoutSecrets } from './settings.ts';

/** Loaded when used: an import of them loads the whole of undici, at every start. */
const http = () => process.getBuiltinModule('node:http');
const https = () => process.getBuiltinModule('node:https');

/** Sends request bodies. */
export interface OtlpClient {
  /** Where they go, as it may be shown. */
  readonly endpoint: string;
  /**
   * @param body compressed already where the settings say so
   * @param records how many it holds, to understand the answer
   */
  send(body: Buffer, records: number, signal?: AbortSignal): Promise<Answer>;
  /** Ends the connections that are kept. */
  close(): void;
}

/** PEM texts of the TLS settings. */
function readTlsFiles(settings: ShipperSettings): { ca?: Buffer; key?: Buffer; cert?: Buffer } {
  const read = (path: string) => {
    try {
      return readFileSync(path);
    } catch (error) {
      throw new RiskTrailError('FILE_UNREADABLE', { path, reason: (error as Error).message }, error);
    }
  };
  const { certificateFile: ca, clientKeyFile: key, clientCertificateFile: cert } = settings;
  return { ...(ca && { ca: read(ca) }), ...(key && { key: read(key) }), ...(cert && { cert: read(cert) }) };
}

/**
 * Checks that the files that the settings name can be read, so that a wrong path shows at the start.
 * @throws RiskTrailError FILE_UNREADABLE
 */
export function checkTlsFiles(settings: ShipperSettings): void {
  readTlsFiles(settings);
}

/** A client for the settings' endpoint. */
export function createOtlpClient(settings: ShipperSettings, clock: Clock): OtlpClient {
  return new HttpClient(settings, clock);
}

class HttpClient implements OtlpClient {
  readonly endpoint: string;
  readonly #settings: ShipperSettings;
  readonly #clock: Clock;
  readonly #url: URL;
  readonly #headers: Readonly<Record<string, string>>;
  #agent: HttpAgent | undefined;

  constructor(settings: ShipperSettings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
    this.#url = new URL(settings.endpoint);
    this.endpoint = withoutSecrets(settings.endpoint);
    const { username, password } = this.#url;
    const user = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    this.#headers = {
      ...(username !== '' && { authorization: `Basic ${Buffer.from(user).toString('base64')}` }),
      ...settings.headers,
      'content-type': settings.protocol === 'http/json' ? 'application/json' : 'application/x-protobuf',
      ...(settings.compression === 'gzip' && { 'content-encoding': 'gzip' }),
    };
  }

  async send(body: Buffer, records: number, signal?: AbortSignal): Promise<Answer> {
    try {
      return await this.#post(body, records, signal).catch((error) => {
        // The receiver ended a kept connection just when it was used again: that says nothing of the receiver.
        if (!(error as { stale?: boolean }).stale) throw error;
        return this.#post(body, records, signal);
      });
    } catch (error) {
      // Certificates may have been renewed: the next connection reads them again.
      this.close();
      return {
        kind: 'outage',
        told: describeError(error, this.#url),
        retryAfterMs: undefined,
        silent: true,
        early: true,
      };
    }
  }

  close(): void {
    this.#agent?.destroy();
    this.#agent = undefined;
  }

  #openAgent(): HttpAgent {
    const options = { keepAlive: true, maxSockets: 2 };
    if (this.#url.protocol === 'http:') return new (http().Agent)(options);
    return new (https().Agent)({ ...options, ...readTlsFiles(this.#settings) });
  }

  #post(body: Buffer, records: number, signal: AbortSignal | undefined): Promise<Answer> {
    this.#agent ??= this.#openAgent();
    const options: RequestOptions = {
      method: 'POST',
      agent: this.#agent,
      headers: { ...this.#headers, 'content-length': body.length },
    };
    const send = this.#url.protocol === 'http:' ? http().request : https().request;
    const url = new URL(this.#url);
    url.username = '';
    url.password = '';
    const { timeoutMs } = this.#settings;
    return new Promise<Answer>((resolve, reject) => {
      const fail = (error: Error) => {
        request.destroy();
        reject(error);
      };
      const timer = setTimeout(() => fail(new Error(`no whole answer within ${timeoutMs} ms`)), timeoutMs);
      const stop = () => fail(new Error('stopped'));
      const request = send(url, options, (response) => {
        readBody(response).then(({ bytes, cut }) => {
          settle();
          const { statusCode: status = 0, headers } = response;
          const answer = readAnswer({ status, headers, body: bytes, cut }, records, this.#clock.now());
          resolve(request.writableFinished ? answer : { ...answer, early: true });
        }, fail);
      });
      const settle = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', stop);
      };
      let answered = false;
      request.on('response', () => {
        answered = true;
      });
      request.on('error', (error) => {
        // A receiver may answer before it has read everything, and hang up: its answer counts.
        if (answered) return;
        const { code } = error as NodeJS.ErrnoException;
        const stale = request.reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE');
        reject(stale ? Object.assign(error, { stale }) : error);
      });
      request.on('close', settle);
      if (signal?.aborted) stop();
      else signal?.addEventListener('abort', stop, { once: true });
      request.end(body);
    });
  }
}

async function readBody(response: IncomingMessage): Promise<{ bytes: Buffer; cut: boolean }> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    chunks.push(chunk);
    // Leaving the loop ends the connection: nobody waits for the rest.
    if (length > MAX_ANSWER_BYTES) break;
  }
  return { bytes: Buffer.concat(chunks).subarray(0, MAX_ANSWER_BYTES), cut: length > MAX_ANSWER_BYTES };
}

/** In words that name the place; the system's codes stay in them. */
function describeError(error: unknown, url: URL): string {
  // An address with several numbers fails with one error for each.
  const first = error instanceof AggregateError ? (error.errors[0] ?? error) : error;
  const { code, message } = first as NodeJS.ErrnoException;
  const at = `${url.hostname}:${url.port || (url.protocol === 'https:' ? 443 : 80)}`;
  const what = message || code || String(first);
  return code === undefined || what.includes(code) ? `${at}: ${what}` : `${at}: ${what} (${code})`;
}
