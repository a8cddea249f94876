/** A venue on this machine that speaks one exchange's wire format; each order is answered by the next outcome of the list. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What becomes of an order. `timeout`: it is executed and the answer never comes. */
export type VenueOutcome = 'success' | 'filled' | 'insufficient' | '429' | '500' | 'slow' | 'reset' | 'timeout';

/** One request as it came. */
export interface VenueRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: string;
  readonly headers: IncomingMessage['headers'];
}

/** Answers a request: status, JSON, headers. */
export interface VenueAnswer {
  readonly status?: number;
  readonly json: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One exchange's wire format. */
export interface Venue {
  /** Whether a request creates an order. */
  isOrder(request: VenueRequest): boolean;
  /** Answers to an order. */
  order(outcome: VenueOutcome, request: VenueRequest, number: number): VenueAnswer;
  /** Every other request. */
  other(request: VenueRequest): VenueAnswer;
}

export interface VenueServer {
  readonly url: string;
  /** Orders that were executed, answered or not. */
  readonly executed: () => number;
  /** Requests so far. */
  readonly requests: readonly VenueRequest[];
  close(): Promise<void>;
}

const SLOW_MS = 150;

/** Starts a venue on a free port. @param outcomes of the orders, in turn; the last one stays */
export async function startVenue(venue: Venue, outcomes: readonly VenueOutcome[]): Promise<VenueServer> {
  const requests: VenueRequest[] = [];
  let orders = 0;
  let executed = 0;
  const server: Server = createServer((incoming, answer) => {
    let body = '';
    incoming.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    incoming.on('end', () => {
      const url = new URL(incoming.url ?? '/', 'http://venue');
      const request: VenueRequest = {
        method: incoming.method ?? 'GET',
        path: url.pathname,
        query: url.searchParams,
        body,
        headers: incoming.headers,
      };
      requests.push(request);
      if (!venue.isOrder(request)) {
        send(answer, venue.other(request));
        return;
      }
      const outcome = outcomes[Math.min(orders, outcomes.length - 1)] ?? 'success';
      orders++;
      if (outcome === 'success' || outcome === 'filled' || outcome === 'slow' || outcome === 'timeout') executed++;
      if (outcome === 'timeout') return;
      if (outcome === 'reset') {
        incoming.socket.destroy();
        return;
      }
      const tell = () => send(answer, venue.order(outcome, request, orders));
      if (outcome === 'slow') setTimeout(tell, SLOW_MS);
      else tell();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    executed: () => executed,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function send(answer: ServerResponse, { status = 200, json, headers }: VenueAnswer): void {
  answer.writeHead(status, { 'content-type': 'application/json', ...headers });
  answer.end(JSON.stringify(json));
}
