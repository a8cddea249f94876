/** One trading session through every layer of the public API, and what was decided in it. */
import type { ManualClock, RiskTrail } from '../../src/index.ts';

/** Hooks for what a hostile caller adds. */
export interface SessionHooks {
  /** Context around the decisions. */
  readonly context?: unknown;
  /** Called between the decisions. */
  readonly meanwhile?: (step: number) => void;
}

const withoutIds = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value ?? null, (key, one) => (/recordIds?$/i.test(key) ? undefined : one)));

/** Runs the session. @returns every decision, record ids left out */
export async function runSession(
  trail: RiskTrail,
  clock: ManualClock,
  hooks: SessionHooks = {},
): Promise<readonly unknown[]> {
  const decisions: unknown[] = [];
  const decide = (decision: unknown) => {
    decisions.push(withoutIds(decision));
    clock.advance(1000);
    hooks.meanwhile?.(decisions.length);
  };
  const failed = (error: unknown) => ({ failed: (error as { code?: string }).code ?? (error as Error).message });

  const breaker = trail.circuitBreaker('broker', { failureThreshold: 2, windowMs: 60_000, cooldownMs: 30_000 });
  const stops = trail.trailingStops({ trailingPct: 2, activationPct: 1 });
  const limits = trail.portfolioLimits({ positionCount: { max: 2 }, orderNotional: { max: 10_000 } });
  const positions = [{ symbol: 'AAPL', quantity: 10, price: 100 }];
  const portfolio = { equity: 100_000, positions };
  const order = (quantity: number) => ({ symbol: 'MSFT', side: 'buy', quantity, price: 50 }) as const;

  await trail.withContext((hooks.context ?? { accountId: 'A', correlationId: 'c-1' }) as object, async () => {
    decide(limits.checkEntry(portfolio, order(10)));
    decide(limits.checkEntry(portfolio, order(1000)));
    decide(trail.validateSignal({ symbol: 'MSFT', signalType: 'long_entry', entryPrice: 50, stopLoss: 51 }));
    decide(
      trail.sizePosition({ symbol: 'MSFT', side: 'long', equity: 1e5, riskPercent: 1, entryPrice: 50, stopPrice: 48 }),
    );
    decide(stops.add({ id: 's', symbol: 'MSFT', side: 'long', entryPrice: 50, quantity: 10 }));
    for (const price of [50.2, 51, 53, 52.5, 51.5]) decide(stops.tick('MSFT', price));
    decide(await breaker.execute(() => 'filled').catch(failed));
    for (let i = 0; i < 3; i++) {
      decide(
        await breaker
          .execute(() => {
            throw new Error('venue down');
          })
          .catch(failed),
      );
    }
    decide(trail.gate.check({ reduces: false }));
    decide(trail.gate.check({ reduces: true }));
    clock.advance(60_000);
    decide(await breaker.execute(async () => 'probe').catch(failed));
    decide(breaker.state);
    trail.gate.halt({ actor: 'risk', reason: 'test' });
    decide(trail.gate.check({ reduces: false }));
    decide(trail.gate.check({ reduces: true }));
    trail.gate.resume({ actor: 'risk', reason: 'test' });
    decide(await trail.timed('slow', async () => clock.advance(500) ?? 'timed'));
    decide(trail.startTimer('hand').stop());
    trail.logger('session').error('a line', new Error('x'), { password: 'p' });
    trail.emit('order.placed', { 'trading.symbol': 'MSFT', 'trading.side': 'buy', 'trading.quantity': 1 });
    trail.snapshot();
    decide(trail.gate.state());
  });
  return decisions;
}
