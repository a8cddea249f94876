/**
 * A venue on this machine: a server process of its own with a durable order book. It fills every order at once, at the price
 * that came with it, and knows an order that comes twice by its client order id: the second time it answers with the first.
 * Arguments: file of the book. Prints its port.
 */
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';

/** An order as the venue booked it. */
export interface BookedOrder {
  readonly id: string;
  readonly clientOrderId: string;
  /** The bot's signal that it is for. */
  readonly signal: number;
  readonly side: 'buy' | 'sell';
  readonly quantity: number;
  readonly price: number;
  /** Position after it, signed. */
  readonly position: number;
  /** What it realised. */
  readonly pnl: number;
  /** Epoch milliseconds. */
  readonly bookedAtMs: number;
}

/** What `GET /book` answers. */
export interface Book {
  readonly orders: readonly BookedOrder[];
  readonly position: number;
  readonly averagePrice: number;
  /** Orders that came again under a client order id that was known. */
  readonly repeats: number;
}

class OrderBook {
  readonly orders = new Map<string, BookedOrder>();
  position = 0;
  averagePrice = 0;
  repeats = 0;
  readonly #fd: number;

  constructor(path: string) {
    this.#fd = openSync(path, 'a+');
    for (const line of readFileSync(path, 'utf8').split('\n')) if (line !== '') this.#apply(JSON.parse(line));
  }

  place(given: Pick<BookedOrder, 'clientOrderId' | 'signal' | 'side' | 'quantity' | 'price'>): BookedOrder {
    const known = this.orders.get(given.clientOrderId);
    if (known !== undefined) {
      this.repeats++;
      return known;
    }
    const signed = given.side === 'buy' ? given.quantity : -given.quantity;
    const closes = this.position * signed < 0 ? Math.min(Math.abs(this.position), given.quantity) : 0;
    const order: BookedOrder = {
      ...given,
      id: `v${this.orders.size + 1}`,
      position: this.position + signed,
      pnl: closes === 0 ? 0 : closes * (given.price - this.averagePrice) * Math.sign(this.position),
      bookedAtMs: Date.now(),
    };
    writeSync(this.#fd, `${JSON.stringify(order)}\n`);
    fsyncSync(this.#fd);
    this.#apply(order);
    return order;
  }

  #apply(order: BookedOrder): void {
    const before = this.position;
    const added = Math.abs(order.position) - Math.abs(before);
    if (before * order.position <= 0) this.averagePrice = order.position === 0 ? 0 : order.price;
    else if (added > 0) {
      this.averagePrice = (this.averagePrice * Math.abs(before) + order.price * added) / Math.abs(order.position);
    }
    this.position = order.position;
    this.orders.set(order.clientOrderId, order);
  }

  toJSON(): Book {
    const { position, averagePrice, repeats } = this;
    return { orders: [...this.orders.values()], position, averagePrice, repeats };
  }

  close(): void {
    closeSync(this.#fd);
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += chunk;
  return text;
}

const book = new OrderBook(process.argv[2] as string);
let served = 0;

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const answer = (status: number, value: unknown) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  };
  const url = request.url ?? '/';
  if (request.method === 'POST' && url === '/orders') {
    const text = await bodyOf(request);
    served++;
    // Sometimes slow to book, sometimes slow to answer: a client that dies meanwhile can't know which.
    if (served % 3 === 1) await wait(served % 5);
    const order = book.place(JSON.parse(text));
    if (served % 3 === 2) await wait(served % 7);
    answer(200, order);
  } else if (url.startsWith('/orders/')) {
    const order = book.orders.get(decodeURIComponent(url.slice('/orders/'.length)));
    answer(order === undefined ? 404 : 200, order ?? { error: 'unknown order' });
  } else if (url === '/book') answer(200, book);
  else answer(404, { error: 'not found' });
}

const server = createServer((request, response) => {
  // A client that was killed in the middle of its request.
  serve(request, response).catch(() => response.destroy());
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.stdout.write(`${typeof address === 'object' && address !== null ? address.port : ''}\n`);
});
process.once('SIGTERM', () => {
  server.closeAllConnections();
  server.close(() => book.close());
});
