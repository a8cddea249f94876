import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { INITIAL_TRADING_STATE } from '../../src/risk/trading-state.ts';
import { foldTradingState } from '../../src/risk/trading-state-fold.ts';
import { createFakeHost, type FakeHost, START_MS } from '../support/fake-host.ts';

const STATES = ['ACTIVE', 'REDUCING', 'HALTED'] as const;
const scope = fc.constantFrom('global', 'symbol:AAPL', 'account:ACC1');
const BY = { actor: 'alice', reason: 'test' };

const act: fc.Arbitrary<(host: FakeHost) => void> = fc.oneof(
  fc
    .record({
      source: fc.constantFrom('a', 'b', 'c'),
      state: fc.constantFrom(...STATES),
      scope,
      lastsMs: fc.option(fc.integer({ min: 1, max: 5_000 }), { nil: undefined }),
    })
    .map(({ lastsMs, ...demand }) => ({ gate, clock }: FakeHost) => {
      gate.demand({ ...demand, ...BY, ...(lastsMs === undefined ? {} : { untilMs: clock.now() + lastsMs }) });
    }),
  fc.tuple(fc.constantFrom('halt' as const, 'reduce' as const, 'resume' as const), scope).map(
    ([what, where]) =>
      ({ gate }: FakeHost) =>
        gate[what]({ ...BY, scope: where }),
  ),
  fc.integer({ min: 1, max: 4_000 }).map(
    (ms) =>
      ({ clock }: FakeHost) =>
        clock.advance(ms + 0.25),
  ),
  fc.constant(({ gate }: FakeHost) => gate.tick()),
);

describe('trading gate, under any history', () => {
  it('exits always pass, the strictest demand decides, and its events rebuild its state', () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 40, size: 'max' }), (acts) => {
        const host = createFakeHost({ startMs: START_MS });
        for (const one of acts) {
          one(host);
          const question = { symbol: 'AAPL', accountId: 'ACC1' };
          const touched = (['global', 'symbol:AAPL', 'account:ACC1'] as const).map((name) => host.gate.state(name));
          const strictest = STATES[Math.max(...touched.map((state) => STATES.indexOf(state)))];
          const answer = host.gate.check({ ...question, reduces: false });
          expect(answer.state).toBe(strictest);
          expect(answer.allowed).toBe(strictest === 'ACTIVE');
          expect(host.gate.check({ ...question, reduces: true }).allowed).toBe(true);
        }
        const folded = host.events.reduce(foldTradingState, INITIAL_TRADING_STATE);
        expect(folded.demands).toEqual(host.gate.snapshot().demands);
        const [round, ...told] = host.takeSnapshots();
        expect(round!.name).toBe('risk.trading_state_snapshot');
        const states = told.map(({ attributes }) => [attributes['risk.scope'], attributes['risk.trading_state.new']]);
        const { global: _, ...scopes } = host.gate.snapshot().scopes;
        expect(Object.fromEntries(states)).toEqual(scopes);
        expect(host.invalid).toEqual([]);
        expect(host.coerced).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });

  it('each change event follows from the one before it in its scope', () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 40, size: 'max' }), (acts) => {
        const host = createFakeHost();
        for (const one of acts) one(host);
        const last = new Map<string, string>();
        for (const { attributes } of host.named('risk.trading_state_change')) {
          expect(attributes['risk.trading_state.old']).toBe(last.get(attributes['risk.scope']) ?? 'ACTIVE');
          expect(attributes['risk.trading_state.new']).not.toBe(attributes['risk.trading_state.old']);
          last.set(attributes['risk.scope'], attributes['risk.trading_state.new']);
        }
      }),
      { numRuns: 100 },
    );
  });
});
