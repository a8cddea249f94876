import { describe, expect, it } from 'vitest';
import { instrumentBroker } from '../../src/instrumentation/index.ts';
import { listenAsTrail } from '../support/listening-host.ts';

const heard = listenAsTrail();

interface Ticket {
  readonly ticker: string;
  readonly buys: boolean;
  readonly shares: number;
}

class Desk {
  readonly sent: Ticket[] = [];
  answer: unknown = { id: 'T-1' };
  async placeOrder(ticket: Ticket): Promise<{ id: string; done?: number }> {
    this.sent.push(ticket);
    if (this.answer instanceof Error) throw this.answer;
    return this.answer as { id: string };
  }
  cancel(id: string): string {
    if (this.answer instanceof Error) throw this.answer;
    return id;
  }
  quote(ticker: string): number {
    return ticker.length;
  }
}

const made = () =>
  instrumentBroker(
    new Desk(),
    { venue: 'desk' },
    {
      placeOrder: {
        kind: 'create',
        order: ({ ticker, buys, shares }) => ({ symbol: ticker, side: buys ? 'buy' : 'sell', quantity: shares }),
        answer: ({ id, done }) => ({ orderId: id, filled: done, averagePrice: 12 }),
      },
      cancel: { kind: 'cancel', order: (orderId) => ({ orderId }) },
      quote: { kind: 'call' },
    },
  );
const TICKET: Ticket = { ticker: 'AAPL', buys: true, shares: 5 };

describe('a client whose methods are mapped by hand', () => {
  it('has its orders told: the intent before the send, then the outcome and the fill', async () => {
    const desk = made();
    desk.answer = { id: 'T-1', done: 5 };
    await expect(desk.placeOrder(TICKET)).resolves.toEqual({ id: 'T-1', done: 5 });
    expect(heard.names()).toEqual(['order.intent', 'order.placed', 'order.filled']);
    expect(heard.events[1]?.attributes).toMatchObject({
      ...{ 'trading.venue': 'desk', 'trading.symbol': 'AAPL', 'trading.side': 'buy', 'trading.quantity': 5 },
      ...{ 'trading.order.id': 'T-1', 'risk.cause.record_id': 'record-1', operation: 'placeOrder' },
    });
    expect(heard.events[2]?.attributes).toMatchObject({ 'trading.quantity': 5, 'trading.price': 12 });
  });

  it.each([
    ['order.outcome_unknown', new Error('socket hang up')],
    ['order.rejected', Object.assign(new Error('no margin'), { status: 422 })],
    ['order.outcome_unknown', Object.assign(new Error('time-out'), { statusCode: 408 })],
  ])('tells of %s', async (event, error) => {
    const desk = made();
    desk.answer = error;
    await expect(desk.placeOrder(TICKET)).rejects.toBe(error);
    expect(heard.names()).toEqual(['order.intent', event]);
  });

  it('keeps synchronous methods synchronous', () => {
    const desk = made();
    expect(desk.cancel('T-9')).toBe('T-9');
    expect(desk.quote('AAPL')).toBe(4);
    expect(heard.events.map(({ name, attributes }) => [name, attributes['operation']])).toEqual([
      ['order.cancelled', 'cancel'],
      ['api.call', 'cancel'],
      ['api.call', 'quote'],
    ]);
    desk.answer = Object.assign(new Error('no such order'), { status: 404 });
    expect(() => desk.cancel('T-9')).toThrow('no such order');
    expect(heard.names().at(-1)).toBe('api.error');
  });

  it('sends once the intent is on disk, where that is asked for', async () => {
    heard.durability = 'disk';
    const desk = made();
    await desk.placeOrder(TICKET);
    expect(heard.names()).toEqual(['order.intent', 'order.placed']);
    expect(desk.sent).toEqual([TICKET]);
  });
});
