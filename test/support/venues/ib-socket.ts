/** The socket of TWS as far as orders need it: frames of texts that end in a zero byte. https://interactivebrokers.github.io/tws-api/ */

import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';

/** `silent`: it is taken, and nothing is ever said of it. */
export type IbOutcome = 'success' | 'filled' | 'insufficient' | 'cancelled' | 'warning' | 'slow' | 'silent' | 'reset';

const SERVER_VERSION = 151;
const [ORDER_STATUS, ERROR, NEXT_VALID_ID, MANAGED_ACCOUNTS] = [3, 4, 9, 15];
const [PLACE_ORDER, CANCEL_ORDER, START_API] = ['3', '4', '71'];
const SLOW_MS = 150;

export interface IbVenue {
  readonly port: number;
  readonly orders: () => number;
  close(): Promise<void>;
}

function frame(...fields: readonly (string | number)[]): Buffer {
  const body = Buffer.from(fields.map((field) => `${field}\0`).join(''));
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length);
  return Buffer.concat([length, body]);
}

const status = (id: string, word: string, filled: number, remaining: number, price: number) =>
  frame(ORDER_STATUS, id, word, filled, remaining, price, 900, 0, price, 0, '', 0);

function answer(socket: Socket, outcome: IbOutcome, id: string): void {
  switch (outcome) {
    case 'success':
      // The same status comes several times.
      socket.write(Buffer.concat([status(id, 'PreSubmitted', 0, 5, 0), status(id, 'Submitted', 0, 5, 0)]));
      return;
    case 'filled':
      socket.write(Buffer.concat([status(id, 'Submitted', 2, 3, 189), status(id, 'Submitted', 2, 3, 189)]));
      socket.write(status(id, 'Filled', 5, 0, 189.5));
      return;
    case 'insufficient':
      socket.write(frame(ERROR, 2, id, 201, 'Order rejected - reason: insufficient equity'));
      return;
    case 'cancelled':
      socket.write(Buffer.concat([status(id, 'Submitted', 0, 5, 0), frame(ERROR, 2, id, 202, 'Order Canceled')]));
      return;
    case 'warning':
      socket.write(frame(ERROR, 2, id, 399, 'Order Message: outside of trading hours'));
      socket.write(status(id, 'PreSubmitted', 0, 5, 0));
      return;
    case 'slow':
      setTimeout(() => socket.write(status(id, 'Submitted', 0, 5, 0)), SLOW_MS);
      return;
    case 'reset':
      socket.destroy();
      return;
    case 'silent':
  }
}

/** Starts it on a free port. @param outcomes of the orders, in turn */
export async function startIbVenue(outcomes: readonly IbOutcome[]): Promise<IbVenue> {
  let orders = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let data = Buffer.alloc(0);
    let greeted = false;
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      data = Buffer.concat([data, chunk as Buffer]);
      if (!greeted && data.length >= 8) {
        // `API` and a zero byte come before the first frame.
        data = data.subarray(4);
        greeted = true;
      }
      while (greeted && data.length >= 4 && data.length >= 4 + data.readInt32BE()) {
        const size = data.readInt32BE();
        const fields = data
          .subarray(4, 4 + size)
          .toString('latin1')
          .split('\0');
        data = data.subarray(4 + size);
        if (fields[0]?.startsWith('v')) socket.write(frame(SERVER_VERSION, '20250615 15:06:40 UTC'));
        else if (fields[0] === START_API) {
          socket.write(Buffer.concat([frame(MANAGED_ACCOUNTS, 1, 'DU1'), frame(NEXT_VALID_ID, 1, 1)]));
        } else if (fields[0] === PLACE_ORDER) answer(socket, outcomes[orders++] ?? 'success', fields[1]!);
        else if (fields[0] === CANCEL_ORDER) socket.write(status(fields[2]!, 'Cancelled', 0, 5, 0));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    orders: () => orders,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
