/** What the four earlier systems record or answer, done through the public API alone and read back from a real trail. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseFilter } from '../../src/analysis/filter.ts';
import { createManualClock, getRiskTrail, isRiskTrailError } from '../../src/index.ts';
import { readSettings, resolveSettings } from '../../src/runtime/settings.ts';
import { readBack, startTestTrail, temporaryDirectory } from '../support/trail.ts';

const START = Date.UTC(2024, 0, 2, 14, 30);

describe('questions that a post-mortem asks', () => {
  it('seed 001: "why did the position exit?" is told by its stop’s whole journey, under one execution', async () => {
    const trail = await startTestTrail();
    const stops = trail.trailingStops({ activationPct: 2, trailingPct: 1 });
    stops.add({ id: 'pos-7', symbol: 'SPY', side: 'long', entryPrice: 100, executionId: 'exec-7' });
    stops.add({ id: 'pos-8', symbol: 'QQQ', side: 'long', entryPrice: 100, executionId: 'exec-8' });
    for (const price of [102, 104, 102.9]) stops.tick('SPY', price);
    stops.remove('pos-7', 'position closed');
    const journey = (await readBack(trail)).filter((one) => one['trading.execution.id'] === 'exec-7');
    expect(journey.map((one) => [one.event, one['risk.trailing_stop.stop_price']])).toEqual([
      ['risk.trailing_stop.add', undefined],
      ['risk.trailing_stop.activate', 100.98],
      ['risk.trailing_stop.update', 102.96],
      ['risk.trailing_stop.trigger', 102.96],
      ['risk.trailing_stop.remove', 102.96],
    ]);
  });

  it('seed 001: how often stops fired against targets, and what share of entries was refused, can be counted', async () => {
    const trail = await startTestTrail();
    const stops = trail.trailingStops({ activationPct: 0, trailingPct: 1 });
    const limits = trail.portfolioLimits({ orderQuantity: { max: 10 } });
    for (const id of ['a', 'b']) {
      stops.add({ id, symbol: id, side: 'long', entryPrice: 100 });
      stops.tick(id, 100);
      stops.tick(id, 98);
    }
    trail.emit('trade.take_profit_hit', { 'trading.symbol': 'c', 'trading.quantity': 1, 'trading.price': 110 });
    for (const quantity of [5, 50, 10, 11]) {
      limits.checkEntry({ positions: [] }, { symbol: 'a', side: 'buy', quantity, referencePrice: 100 });
    }
    const records = await readBack(trail);
    const count = (event: string) => records.filter((one) => one.event === event).length;
    expect([count('risk.trailing_stop.trigger'), count('trade.take_profit_hit')]).toEqual([2, 1]);
    expect([count('risk.portfolio_limit.check'), count('risk.portfolio_limit.rejection')]).toEqual([4, 2]);
  });

  it('seed 001: how long a circuit breaker was closed can be told from its state changes', async () => {
    const clock = createManualClock(START);
    const trail = await startTestTrail({ clock });
    const breaker = trail.circuitBreaker('broker', { consecutiveFailures: 1, cooldownMs: 30_000 });
    clock.advance(60_000);
    breaker.failure(new Error('503'));
    clock.advance(30_000);
    breaker.success(breaker.allow());
    clock.advance(10_000);
    const changes = (await readBack(trail)).filter((one) => one.event === 'risk.circuit_breaker.state_change');
    expect(changes.map((one) => [Date.parse(one.timestamp) - START, one['risk.circuit_breaker.state.new']])).toEqual([
      [60_000, 'OPEN'],
      [90_000, 'HALF_OPEN'],
      [90_000, 'CLOSED'],
    ]);
  });

  it('seed 001: an alert is followed from raising to resolving, with its rule, strategy and free data', async () => {
    const trail = await startTestTrail();
    const id = { 'alert.id': 'alert-1' };
    trail.withContext({ strategyId: 'iron-condor', symbol: 'SPY' }, () => {
      trail.emit('alert.raised', {
        ...id,
        'alert.type': 'CRITICAL',
        'alert.severity': 'IMMEDIATE',
        'alert.title': 'Close SPY',
        'alert.rule': 'TrailingStop',
        metadata: { premium: 2.5 },
      });
      trail.emit('alert.acknowledged', { ...id, 'risk.actor': 'desk' });
      trail.emit('alert.resolved', { ...id, 'alert.note': 'closed by hand' });
    });
    const alerts = (await readBack(trail)).filter((one) => one['alert.id'] === 'alert-1');
    expect(alerts.map((one) => one.event)).toEqual(['alert.raised', 'alert.acknowledged', 'alert.resolved']);
    expect(alerts[0]).toMatchObject({
      'alert.rule': 'TrailingStop',
      'trading.strategy.id': 'iron-condor',
      'trading.symbol': 'SPY',
      metadata: { premium: 2.5 },
    });
    expect(alerts.every((one) => one['audit.invalid'] === undefined)).toBe(true);
  });
});

describe('the daemon’s log', () => {
  it('seed 002: nested contexts inherit, and concurrent ones never mix, in what is recorded', async () => {
    const trail = await startTestTrail();
    const work = async (account: string) =>
      trail.withContext({ accountId: account, correlationId: `corr-${account}` }, async () => {
        for (let step = 0; step < 3; step++) {
          await new Promise((resolve) => setImmediate(resolve));
          trail.withContext({ ruleId: `rule-${step}` }, () =>
            trail.emit('enforcement.breach', { 'risk.rule.id': `rule-${step}`, 'risk.reason': account }),
          );
        }
      });
    await Promise.all(['A', 'B', 'C'].map(work));
    const breaches = (await readBack(trail)).filter((one) => one.event === 'enforcement.breach');
    expect(breaches).toHaveLength(9);
    for (const one of breaches) {
      expect(one).toMatchObject({
        'trading.account.id': one['risk.reason'],
        'correlation.id': `corr-${one['risk.reason']}`,
      });
    }
    expect(new Set(breaches.map((one) => one.trace_id)).size).toBe(3);
  });

  it('seed 002: what its four files hold are four categories; errors of every kind are in the last', async () => {
    const clock = createManualClock(START);
    const trail = await startTestTrail({ clock });
    trail.emit('enforcement.action', { 'risk.rule.id': 'MAX_LOSS', 'risk.action': 'flatten_all' });
    trail.emit('api.error', { operation: 'fetch_positions', 'error.message': 'timed out' });
    trail.emit('system.error', { operation: 'risky', 'exception.type': 'TypeError', 'exception.stacktrace': 'at x' });
    const records = await readBack(trail);
    const inCategory = (category: string) =>
      records.filter(parseFilter({ category: [category] }, clock)).map((one) => one.event);
    expect(inCategory('enforcement')).toContain('enforcement.action');
    expect(inCategory('api')).toEqual(['api.error']);
    expect(inCategory('error')).toEqual(['api.error', 'system.error']);
    expect(inCategory('daemon')).toEqual(expect.arrayContaining(['system.start', 'system.error', 'system.stop']));
    expect(records.find((one) => one.event === 'system.error')).toMatchObject({
      severity: 'ERROR',
      'exception.stacktrace': 'at x',
    });
  });

  it('seed 002: settings stand in a YAML file, and the environment overrules it', async () => {
    const cwd = temporaryDirectory();
    writeFileSync(join(cwd, 'risktrail.config.yaml'), 'serviceName: daemon\nlogLevel: debug\nslowThresholdMs: 250\n');
    const settings = await readSettings({ cwd, env: { RISKTRAIL_LOG_LEVEL: 'warn' } });
    expect(settings).toMatchObject({ serviceName: 'daemon', logLevel: 'warn', slowThresholdMs: 250 });
  });

  it('seed 002: a service adds names and patterns to what is masked, and takes a name out', async () => {
    const trail = await startTestTrail({
      redactKeys: ['internal_ref'],
      redactExcept: ['token'],
      redactPatterns: [/\bACME-\d{6}\b/],
    });
    const metadata = { internalRef: 'x-17', token: 'DOGE', accessToken: 'abc', note: 'customer ACME-123456' };
    trail.emit('system.error', { metadata });
    const error = (await readBack(trail)).find((one) => one.event === 'system.error');
    expect(error?.['metadata']).toEqual({
      internalRef: '***MASKED***',
      token: 'DOGE',
      accessToken: '***MASKED***',
      note: 'customer ***MASKED***',
    });
  });

  it('seed 002: a file is closed at 10 MB unless told otherwise, and nothing is lost between two', async () => {
    const trail = await startTestTrail({ segmentMaxBytes: 4096 });
    expect(resolveSettings({ options: { serviceName: 'x' }, env: {} }).segmentMaxBytes).toBe(10_000_000);
    for (let i = 0; i < 30; i++) trail.emit('risk.limit_hit', { 'risk.limit.type': 'daily_loss', metadata: { i } });
    const records = await readBack(trail);
    expect(records.filter((one) => one.event === 'audit.segment_sealed').length).toBeGreaterThan(2);
    const numbers = records
      .filter((one) => one.event === 'risk.limit_hit')
      .map((one) => (one['metadata'] as { i: number }).i);
    expect(numbers).toEqual(Array.from({ length: 30 }, (_, i) => i));
  });
});

describe('the bot’s audit log', () => {
  it('seed 003: a candle without a signal leaves nothing in the trail; one with a signal does', async () => {
    const trail = await startTestTrail();
    expect(trail.emit('strategy.no_signal', { 'trading.symbol': 'BTCUSDT' })).toBeUndefined();
    expect(trail.emit('strategy.signal_processed', { 'trading.symbol': 'BTCUSDT' })).toBeTypeOf('string');
    const names = (await readBack(trail)).map((one) => one.event);
    expect(names).toContain('strategy.signal_processed');
    expect(names).not.toContain('strategy.no_signal');
  });

  it('seed 003: all components share one trail, found without being handed around', async () => {
    const trail = await startTestTrail();
    const fromRiskManager = getRiskTrail().emit('risk.validation', {
      'trading.symbol': 'BTCUSDT',
      'risk.decision': 'allow',
    });
    const fromEngine = trail.emit('position.query', { 'trading.symbol': 'BTCUSDT', 'trading.position.count': 1 });
    const records = await readBack(trail);
    const found = [fromRiskManager, fromEngine].map((id) => records.find((one) => one.record_id === id));
    expect(found[0]?.stream).toBe(found[1]?.stream);
    expect(found[1]!.sequence!).toBe(found[0]!.sequence! + 1);
  });
});

describe('the trading day', () => {
  it('seed 004: a trade from entry to exit in its session, with free metadata and the result', async () => {
    const trail = await startTestTrail();
    trail.withContext({ sessionId: 'trading_session_001', strategyId: 'momentum' }, () => {
      const of = { 'trading.symbol': 'AAPL', 'trading.price': 150.25 } as const;
      trail.emit('trade.entry', {
        ...of,
        'trading.side': 'buy',
        'trading.quantity': 100,
        'trading.order.id': 'order_123',
        'risk.percent': 1,
        metadata: { entry_reason: 'breakout', technical_indicators: { rsi: 65.2, macd: 1.25 } },
      });
      trail.emit('trade.partial_exit', { ...of, 'trading.quantity': 40, 'trading.pnl': 220 });
      trail.emit('trade.exit', { ...of, 'trading.quantity': 60, 'trading.pnl': 330, 'trading.hold_time_minutes': 45 });
    });
    const session = (await readBack(trail)).filter((one) => one['trading.session.id'] === 'trading_session_001');
    expect(session.map((one) => one.event)).toEqual(['trade.entry', 'trade.partial_exit', 'trade.exit']);
    expect(session.every((one) => one['trading.strategy.id'] === 'momentum')).toBe(true);
    expect(session.every((one) => one['audit.invalid'] === undefined)).toBe(true);
    expect(session[0]!['metadata']).toEqual({
      entry_reason: 'breakout',
      technical_indicators: { rsi: 65.2, macd: 1.25 },
    });
  });

  it('seed 004: the service’s health is recorded by itself and told on request', async () => {
    const trail = await startTestTrail({ healthCheckIntervalMs: 5 });
    expect(trail.health()).toMatchObject({ status: 'healthy', tradingState: 'ACTIVE' });
    while (trail.health().emitted.audit < 3) await new Promise((resolve) => setImmediate(resolve));
    const check = (await readBack(trail)).find((one) => one.event === 'system.health_check');
    expect(check).toMatchObject({ 'system.status': 'healthy', 'risk.trading_state.new': 'ACTIVE' });
  });

  it('seed 004: asking for the logger before it was initialised says what to do', () => {
    let caught: unknown;
    try {
      getRiskTrail();
    } catch (error) {
      caught = error;
    }
    expect(isRiskTrailError(caught, 'NOT_STARTED') && caught.remedy).toContain('startRiskTrail()');
  });
});
