import { describe, expect, it } from 'vitest';
import { accountPortfolio, dayResult, takenOver } from '../../../src/runtime/account-book.ts';
import { type AccountState, accountStateValue, readAccountState } from '../../../src/runtime/account-state.ts';

const DAY = 1_000_000;
const state = (quantity: number, more: Partial<AccountState['limits'][number]> = {}): AccountState => ({
  version: 1,
  limits: [
    {
      ...{ set: 'default', resetMs: DAY, pnl: 0, pending: [] },
      positions: quantity === 0 ? [] : [{ symbol: 'AAPL', quantity, price: 100 }],
      ...more,
    },
  ],
  breakers: [],
  demands: [],
  takesOver: [],
});
const held = (quantity: number) => ({ positions: [{ symbol: 'AAPL', quantity, price: 100 }] });

describe('the sums of an account', () => {
  it('add up the results of one day, and of no other day or set', () => {
    const states = new Map([
      ['desk/a', state(0, { pnl: -3 })],
      ['desk/b', state(0, { pnl: -4 })],
      ['desk/c', state(0, { pnl: -100, resetMs: DAY + 1 })],
      ['desk/d', state(0, { pnl: -100, set: 'other' })],
    ]);
    expect(dayResult(states, 'default', DAY)).toBe(-7);
  });

  it('count what the fills come to beyond the position that the caller lists, be it his own or the account’s', () => {
    const states = new Map([
      ['desk/a', state(10)],
      ['desk/b', state(5)],
    ]);
    const pendingOf = (quantity: number) => accountPortfolio(held(quantity), states, 'default', 'desk/a').pending;
    expect(pendingOf(10)).toMatchObject([{ symbol: 'AAPL', side: 'buy', quantity: 5, price: 100 }]);
    expect(pendingOf(0)).toMatchObject([{ side: 'buy', quantity: 15 }]);
    expect(pendingOf(18)).toMatchObject([{ side: 'sell', quantity: 3 }]);
    const whole = held(15);
    expect(accountPortfolio(whole, states, 'default', 'desk/a')).toBe(whole);
  });

  it('count orders on their way of others, but none of a stream that another one went on with', () => {
    const order = { symbol: 'AAPL', side: 'buy', quantity: 2, clientOrderId: 'c1' } as const;
    const states = new Map([
      ['desk/a', state(0, { pending: [{ ...order, clientOrderId: 'mine' }] })],
      ['desk/b', state(0, { pending: [order] })],
    ]);
    const listed = [{ ...order, clientOrderId: 'listed' }];
    const portfolio = { positions: [], pending: listed };
    expect(accountPortfolio(portfolio, states, 'default', 'desk/a').pending).toEqual([...listed, order]);
    states.set('desk/c', { ...state(0), takesOver: ['desk/b'] });
    expect(takenOver(states)).toEqual(new Set(['desk/b']));
    expect(accountPortfolio(portfolio, states, 'default', 'desk/a')).toBe(portfolio);
  });

  it('leave a portfolio that cannot be read to the check', () => {
    const states = new Map([['desk/a', state(10)]]);
    for (const portfolio of [undefined, null, 3, {}, { positions: [], pending: 'none' }] as never[]) {
      expect(accountPortfolio(portfolio, states, 'default', 'desk/b')).toBe(portfolio);
    }
  });
});

describe('a record of the shared state', () => {
  it('gives back what was written, absent members left out', () => {
    const given: AccountState = {
      ...state(10, { pending: [{ symbol: 'AAPL', side: 'sell', quantity: 1, orderId: 'v1' }] }),
      breakers: [{ name: 'broker', status: 'OPEN', atMs: 1, manual: false, reason: 'down', openUntilMs: undefined }],
      manual: { state: 'HALTED', actor: 'ann', reason: 'news', atMs: 5 },
      takesOver: ['desk/z'],
    };
    expect(readAccountState(accountStateValue(given))).toEqual(JSON.parse(JSON.stringify(given)));
  });

  it('is passed over where it is none, and what is unusable in it is left out', () => {
    for (const value of [undefined, null, 'x', [], {}, { version: 2 }]) expect(readAccountState(value)).toBeUndefined();
    expect(
      readAccountState({
        version: 1,
        limits: [
          { set: 'default', resetMs: 'soon', pnl: 0 },
          {
            set: 'x',
            resetMs: 1,
            pnl: 0,
            positions: [{ symbol: 1 }],
            pending: [{ symbol: 'A', side: 'buy', quantity: -1 }],
          },
        ],
        breakers: [{ name: 'b' }],
        demands: [{ source: 's', state: 'OFF', actor: 'a', reason: 'r' }],
        manual: { state: 'HALTED' },
        takesOver: [1, 'desk/a'],
      }),
    ).toEqual({
      version: 1,
      limits: [{ set: 'x', resetMs: 1, pnl: 0, positions: [], pending: [] }],
      breakers: [],
      demands: [],
      takesOver: ['desk/a'],
    });
  });
});
