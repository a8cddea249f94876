import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { FlatRecord } from '../../../src/analysis/flat-record.ts';
import { openTrail } from '../../../src/analysis/index.ts';
import { checkReplay } from '../../../src/analysis/replay/replay.ts';
import type { OrderRule } from '../../../src/index.ts';
import { runBot } from '../../support/bots/run-bot.ts';
import { readTrail, temporaryDirectory } from '../../support/trail.ts';
import { KRAKEN } from '../../support/venues/kraken.ts';
import { startVenue, type VenueOutcome } from '../../support/venues/venue-server.ts';

const BOT = join(import.meta.dirname, '../../support/bots/rules.mjs');
const TIMEOUT = { timeout: 120_000 };

/** Runs the steps under a settings file with this rule. */
async function run(
  rule: OrderRule,
  steps: readonly string[],
  outcomes: readonly VenueOutcome[] = ['success'],
  cwd = temporaryDirectory(),
) {
  const venue = await startVenue(KRAKEN, outcomes);
  onTestFinished(() => venue.close());
  const dataDir = join(cwd, 'trail');
  writeFileSync(join(cwd, 'risktrail.config.json'), JSON.stringify({ orderRules: [rule] }));
  const { code, out, err } = await runBot(BOT, [venue.url, ...steps], { dataDir, cwd });
  const sent = venue.requests.filter((one) => KRAKEN.isOrder(one)).length;
  const edited = venue.requests.filter(({ path }) => path === '/0/private/AmendOrder').length;
  return { code, err, lines: out.trim().split('\n'), sent, edited, dataDir };
}

const names = (records: readonly FlatRecord[], pattern: RegExp) =>
  records.filter(({ event }) => pattern.test(event ?? '')).map(({ event }) => event);
const rulesOf = (records: readonly FlatRecord[]) => records.filter(({ event }) => event === 'risk.order_rule');

const NOTIONAL: OrderRule = { name: 'desk', limits: { orderNotional: { max: 10_000 } }, positions: {} };

describe('a rule of the settings in front of every order of ccxt', TIMEOUT, () => {
  it('enforce: what goes beyond a limit is not sent, and the program gets an error of ours; exits pass', async () => {
    const rule = { ...NOTIONAL, mode: 'enforce' } as const;
    const { code, lines, sent, dataDir } = await run(rule, ['buy:0.5', 'buy:0.1', 'sell:5', 'reduce:5']);
    expect(code).toBe(0);
    expect(lines).toEqual([
      'buy:0.5 ORDER_REFUSED order buy 0.5 BTC/USD was refused by the rule "desk": ORDER_NOTIONAL_EXCEEDED, ' +
        'order_notional of BTC/USD would be 30500, at most 10000 is allowed',
      ...['buy:0.1 ok', 'sell:5 ok', 'reduce:5 ok'],
    ]);
    expect(sent).toBe(3);
    const records = await readTrail(dataDir);
    expect(names(records, /^order\./)).toEqual([
      'order.rejected',
      ...['order.intent', 'order.placed', 'order.intent', 'order.placed', 'order.intent', 'order.placed'],
    ]);
    const [rule1] = rulesOf(records);
    expect(rule1).toMatchObject({
      ...{ 'risk.rule.name': 'desk', 'risk.rule.mode': 'enforce', 'risk.decision': 'deny' },
      ...{ 'risk.reason.code': 'ORDER_NOTIONAL_EXCEEDED', 'trading.quantity': 0.5, severity: 'WARN' },
    });
    const rejected = records.find(({ event }) => event === 'order.rejected');
    expect(rejected).toMatchObject({
      ...{ 'risk.reason.code': 'ORDER_NOTIONAL_EXCEEDED', 'error.code': 'ORDER_REFUSED', trace_id: rule1?.trace_id },
      'risk.cause.record_id': rule1?.record_id,
    });
    const check = records.find(({ event }) => event === 'risk.portfolio_limit.check');
    expect(check).toMatchObject({ 'risk.limit.set': 'rule:desk', record_id: rule1?.['risk.cause.record_id'] });
  });

  it('observe: everything is sent as ever, and what it would have done is recorded', async () => {
    const { code, lines, sent, dataDir } = await run(NOTIONAL, ['buy:0.5', 'buy:0.1', 'sell:5']);
    expect(code).toBe(0);
    expect(lines).toEqual(['buy:0.5 ok', 'buy:0.1 ok', 'sell:5 ok']);
    expect(sent).toBe(3);
    const records = await readTrail(dataDir);
    expect(names(records, /^order\.(intent|placed|rejected)/)).toEqual(
      Array(3).fill(['order.intent', 'order.placed']).flat(),
    );
    expect(rulesOf(records)).toMatchObject([
      { 'risk.rule.mode': 'observe', 'risk.decision': 'deny', 'risk.reason.code': 'ORDER_NOTIONAL_EXCEEDED' },
    ]);
  });

  it('what is denied under observe says so, and counts nowhere as a refused order', async () => {
    const breaker = { consecutiveFailures: 1, cooldownMs: 60_000 };
    const steps = ['buy:0.5', 'buy:0.1', 'buy:0.1'];
    const refusals = /^risk\.(portfolio_limit\.rejection|circuit_breaker\.not_permitted)$/;
    for (const mode of ['observe', 'enforce'] as const) {
      const { dataDir } = await run({ ...NOTIONAL, mode, breaker }, steps, ['500']);
      const records = await readTrail(dataDir);
      const checks = records.filter(({ event }) => event === 'risk.portfolio_limit.check');
      expect(checks.map((one) => one['risk.decision'])).toEqual(['deny', 'allow', 'allow']);
      const told = records.filter(({ event }) => refusals.test(event ?? ''));
      expect(new Set(told.map(({ event }) => event)).size).toBe(2);
      for (const one of [...checks, ...told]) expect(one).toMatchObject({ 'risk.rule.mode': mode });
      await using trail = openTrail(dataDir);
      const { sections } = await trail.report.risk();
      const section = (name: string) => sections.find((one) => one.name === name);
      const [risk, rejections, questions] = ['risk', 'rejections', 'questions'].map(section);
      const enforced = mode === 'enforce';
      expect(risk?.metrics).toMatchObject({
        limit_checks: { value: enforced ? 3 : 0 },
        entries_rejected: { value: enforced ? 1 : 0 },
        limits_that_denied: { value: enforced ? 1 : 0 },
        breaker_refusals: { value: enforced ? 1 : 0 },
      });
      expect(rejections?.rows).toHaveLength(enforced ? 1 : 0);
      expect(questions?.metrics?.['denied_orders']).toMatchObject({ value: enforced ? 1 : 0 });
      const { rows } = await trail.sql('SELECT count(*) FROM risk_events WHERE NOT allowed');
      expect(rows).toEqual([[enforced ? 2 : 0]]);
      expect(await checkReplay([dataDir])).toMatchObject({ ok: true });
    }
  });

  it('an edit that raises quantity or price is asked about, any other is not; the order stands where it is refused', async () => {
    const rule = { ...NOTIONAL, mode: 'enforce' } as const;
    const steps = ['buy:0.1', 'edit:0.5', 'edit:0.15@70000', 'edit:0.15', 'edit:0.05', 'edit:0.05@62000'];
    const { lines, edited, dataDir } = await run(rule, steps);
    const refused = 'was refused by the rule "desk": ORDER_NOTIONAL_EXCEEDED, order_notional of BTC/USD would be';
    expect(lines).toEqual([
      'buy:0.1 ok',
      `edit:0.5 ORDER_REFUSED order buy 0.5 BTC/USD ${refused} 30500, at most 10000 is allowed`,
      `edit:0.15@70000 ORDER_REFUSED order buy 0.15 BTC/USD ${refused} 10500, at most 10000 is allowed`,
      ...['edit:0.15 ok', 'edit:0.05 ok', 'edit:0.05@62000 ok'],
    ]);
    expect(edited).toBe(3);
    const records = await readTrail(dataDir);
    expect(names(records, /^order\.|limit\.check/)).toEqual([
      ...['risk.portfolio_limit.check', 'order.intent', 'order.placed'],
      ...['risk.portfolio_limit.check', 'risk.portfolio_limit.check'],
      ...['risk.portfolio_limit.check', 'order.edited', 'order.edited', 'risk.portfolio_limit.check', 'order.edited'],
    ]);
    const placed = records.find(({ event }) => event === 'order.placed')?.['trading.order.id'];
    expect(rulesOf(records)).toMatchObject(
      Array(2).fill({ 'trading.order.id': placed, operation: 'editOrder', 'risk.decision': 'deny' }),
    );
    const observed = await run(NOTIONAL, ['buy:0.1', 'edit:0.5']);
    expect([observed.lines, observed.edited]).toEqual([['buy:0.1 ok', 'edit:0.5 ok'], 1]);
    expect(rulesOf(await readTrail(observed.dataDir))).toMatchObject([{ 'risk.rule.mode': 'observe' }]);
  });

  it('an edited order counts once, as large as the edit left it', async () => {
    const rule: OrderRule = { mode: 'enforce', positions: {}, limits: { totalExposure: { max: 10_000 } } };
    const { lines } = await run(rule, ['buy:0.1', 'edit:0.12', 'buy:0.05', 'buy:0.04']);
    expect(lines).toEqual([
      ...['buy:0.1 ok', 'edit:0.12 ok'],
      expect.stringContaining('TOTAL_EXPOSURE_EXCEEDED'),
      'buy:0.04 ok',
    ]);
  });

  it('an open breaker: enforce sends nothing more but exits, observe sends and records', async () => {
    const breaker = { consecutiveFailures: 2, cooldownMs: 60_000 };
    const steps = ['buy:0.1', 'buy:0.1', 'buy:0.1', 'sell:0.1'];
    const enforced = await run({ mode: 'enforce', breaker }, steps, ['500']);
    expect(enforced.sent).toBe(3);
    expect(enforced.lines[2]).toBe(
      'buy:0.1 ORDER_REFUSED order buy 0.1 BTC/USD was refused by the rule "orders": CIRCUIT_BREAKER_OPEN, ' +
        'the circuit breaker rule:orders is OPEN',
    );
    expect(enforced.lines[3]).toMatch(/^sell:0.1 ExchangeNotAvailable/);
    const observed = await run({ breaker }, steps, ['500']);
    expect(observed.sent).toBe(4);
    const records = await readTrail(observed.dataDir);
    expect(rulesOf(records)).toMatchObject([
      { 'risk.rule.mode': 'observe', 'risk.reason.code': 'CIRCUIT_BREAKER_OPEN' },
    ]);
    expect(names(records, /trading_state_change/)).toEqual([]);
  });

  it('what cannot be computed has its code: refused or let through by policy under enforce, recorded under observe', async () => {
    const limits = { positionPercent: { max: 50 } };
    const unknown = await run({ mode: 'enforce', limits }, ['buy:0.1']);
    expect(unknown.sent).toBe(0);
    expect(unknown.lines[0]).toContain('position_percent cannot be computed: EQUITY_MISSING');
    const passed = await run({ mode: 'enforce', limits, onUnknown: 'pass' }, ['buy:0.1']);
    expect(passed.lines).toEqual(['buy:0.1 ok']);
    expect(rulesOf(await readTrail(passed.dataDir))).toMatchObject([
      {
        'risk.decision': 'allow',
        'risk.limits.unevaluated': ['position_percent:EQUITY_MISSING', 'position_percent:POSITIONS_UNKNOWN'],
      },
    ]);
  });

  it('reads that the program makes give the equity and the price of a market order', async () => {
    const limits = { positionPercent: { max: 700 } };
    const rule: OrderRule = { mode: 'enforce', equityCurrency: 'USD', positions: {}, limits };
    // A balance of 1,000.5 USD, a last price of 62,900: 0.1 are 629 %.
    const { lines, sent } = await run(rule, [
      'market:0.1',
      'balance',
      'market:0.1',
      'ohlcv',
      'market:0.1',
      'market:0.2',
    ]);
    expect(lines.map((one) => one.replace(/ order .*rule "orders": /, ' '))).toEqual([
      'market:0.1 ORDER_REFUSED PRICE_MISSING, price cannot be computed: PRICE_MISSING',
      'balance ok',
      'market:0.1 ORDER_REFUSED PRICE_MISSING, price cannot be computed: PRICE_MISSING',
      ...['ohlcv ok', 'market:0.1 ok'],
      expect.stringContaining('POSITION_PERCENT_EXCEEDED'),
    ]);
    expect(sent).toBe(1);
  });

  it('after a restart the breaker is open and the rate is used up as before', async () => {
    const rule: OrderRule = {
      ...{ mode: 'enforce', limits: { orderRate: { max: 2, windowMs: 3_600_000 } }, positions: {} },
      breaker: { consecutiveFailures: 1, cooldownMs: 3_600_000 },
    };
    const cwd = temporaryDirectory();
    expect((await run(rule, ['buy:0.1'], ['500'], cwd)).sent).toBe(1);
    const again = await run(rule, ['buy:0.1', 'buy:0.1', 'sell:0.1'], ['success'], cwd);
    expect(again.lines[0]).toContain('CIRCUIT_BREAKER_OPEN');
    expect(again.lines[1]).toContain('ORDER_RATE_EXCEEDED');
    expect(again.lines[2]).toBe('sell:0.1 ok');
    expect(again.sent).toBe(1);
  });

  it('a wrong rule stops the start with the name of what is wrong', async () => {
    const wrong = await run({ limits: { orderNotionl: { max: 1 } } } as never, ['buy:0.1']);
    expect(wrong.code).toBe(3);
    expect(wrong.err).toBe(
      'risktrail: risktrail.config.json: orderRules[0].limits.orderNotionl: unknown option (did you mean "orderNotional"?)\n',
    );
    expect(wrong.sent).toBe(0);
  });
});
