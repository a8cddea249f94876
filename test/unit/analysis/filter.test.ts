import { describe, expect, it } from 'vitest';
import { type FilterOptions, namePattern, parseFilter } from '../../../src/analysis/filter.ts';
import type { FlatRecord } from '../../../src/analysis/flat-record.ts';
import { createManualClock } from '../../../src/core/clock.ts';
import { isRiskTrailError } from '../../../src/core/errors.ts';

const NOW = Date.parse('2020-03-16T14:00:00Z');

const RECORD = {
  timestamp: '2020-03-16T13:30:00.123456789Z',
  event: 'risk.portfolio_limit.check',
  category: ['risk'],
  severity: 'WARN',
  severity_number: 13,
  body: 'Limits: deny',
  component: 'portfolio_limits',
  service: 'bot',
  stream: 'bot/1',
  sequence: 5,
  record_id: 'r5',
  integrity: 'h',
  trace_id: '0af7651916cd43dd8448eb211c80319c',
  span_id: null,
  'trading.symbol': 'AAPL',
  'trading.quantity': '100.50',
  'trading.order.id': '007',
  'trading.account.id': 'ACC123',
  'trading.strategy.id': 'mom-1',
  'trading.session.id': 's1',
  'trading.execution.id': 'x1',
  'correlation.id': 'corr-1',
  'risk.decision': 'deny',
  'risk.limit.utilization': 1.25,
  'risk.limits.code': ['OK', 'DELTA_EXCEEDED'],
  'timing.duration_ms': 250,
  'trading.order.reduce_only': false,
  metadata: { endpoint: '/v2/positions', order: { tag: 'a' }, 'dotted.key': 1 },
} as unknown as FlatRecord;

const matches = (options: FilterOptions, record: FlatRecord = RECORD) =>
  parseFilter(options, createManualClock(NOW))(record);

function refusal(options: FilterOptions): string {
  try {
    matches(options);
  } catch (error) {
    if (isRiskTrailError(error, 'OPTION_INVALID')) return error.message;
    throw error;
  }
  return '';
}

describe('the filter', () => {
  it('lets everything through when nothing is asked', () => {
    expect(matches({})).toBe(true);
  });

  it.each<[FilterOptions, boolean]>([
    [{ event: ['risk.portfolio_limit.check'] }, true],
    [{ event: ['risk.*'] }, true],
    [{ event: ['*.check'] }, true],
    [{ event: ['order.*', 'risk.*check'] }, true],
    [{ event: ['risk.portfolio_limit'] }, false],
    [{ event: ['riskxportfolio_limit.*'] }, false],
    [{ category: ['risk'] }, true],
    [{ category: ['order', 'risk'] }, true],
    [{ category: ['error'] }, false],
    [{ symbol: 'AAPL' }, true],
    [{ symbol: 'aapl' }, false],
    [{ account: 'ACC123', strategy: 'mom-1', session: 's1', execution: 'x1' }, true],
    [{ account: 'ACC12' }, false],
    [{ execution: 'x2' }, false],
    [{ correlation: 'corr-1' }, true],
    [{ correlation: '0AF76519-16cd-43dd-8448-eb211c80319c' }, true],
    [{ correlation: 'corr' }, false],
    [{ trace: '0AF76519' }, true],
    [{ trace: '0af7651916cd43dd8448eb211c80319c' }, true],
    [{ trace: '1af76519' }, false],
    [{ severity: 'warn' }, true],
    [{ severity: 'WARNING' }, true],
    [{ severity: 'ERROR' }, false],
    [{ minDuration: '250' }, true],
    [{ minDuration: 250.1 }, false],
    [{ symbol: 'AAPL', severity: 'ERROR' }, false],
  ])('%j → %s', (options, expected) => {
    expect(matches(options)).toBe(expected);
  });

  it('finds a symbol in an event about several', () => {
    const several = {
      ...RECORD,
      'trading.symbol': undefined,
      'trading.symbols': ['MSFT', 'AAPL'],
    } as unknown as FlatRecord;
    expect(matches({ symbol: 'AAPL' }, several)).toBe(true);
    expect(matches({ symbol: 'AAP' }, several)).toBe(false);
  });

  it('does not take a missing duration for a short one', () => {
    const { 'timing.duration_ms': _, ...rest } = RECORD;
    expect(matches({ minDuration: 0 }, rest as FlatRecord)).toBe(false);
  });

  it.each<[FilterOptions, boolean]>([
    [{ since: '2020-03-16' }, true],
    [{ since: '2020-03-17' }, false],
    [{ since: '2020-03-16T13:30' }, true],
    [{ since: '2020-03-16T13:30:00.123456789Z' }, true],
    [{ since: '2020-03-16T13:30:00.12345679Z' }, false],
    [{ since: '2020-03-16 14:30:00+01:00' }, true],
    [{ since: '2020-03-16T14:31:00+0100' }, false],
    [{ since: '30m' }, true],
    [{ since: '29m' }, false],
    [{ since: '24h' }, true],
    [{ since: '1.5h' }, true],
    [{ since: '1w', until: '1800s' }, false],
    [{ until: '2020-03-16' }, true],
    [{ until: '2020-03-15' }, false],
    [{ until: '2020-03-16T13:30:00.123456789Z' }, true],
    [{ until: '2020-03-16T13:30:00.123Z' }, false],
    [{ until: '29m' }, true],
  ])('%j at 14:00 → %s', (options, expected) => {
    expect(matches(options)).toBe(expected);
  });

  it.each([
    ['risk.decision=deny', true],
    ['risk.decision = deny', false],
    ['risk.decision!=allow', true],
    ['risk.decision!=deny', false],
    ['risk.nothing!=deny', false],
    ['risk.limit.utilization>1.2', true],
    ['risk.limit.utilization>=1.25', true],
    ['risk.limit.utilization<1.25', false],
    ['risk.limit.utilization<=1.25', true],
    ['risk.limit.utilization=1.250', true],
    ['risk.limit.utilization>much', false],
    ['trading.quantity=100.5', true],
    ['trading.quantity>100', true],
    ['trading.order.id=7', false],
    ['trading.order.id=007', true],
    ['trading.order.reduce_only=false', true],
    ['risk.limits.code=DELTA_EXCEEDED', true],
    ['risk.limits.code!=DELTA_EXCEEDED', false],
    ['risk.limits.code~EXCEED', true],
    ['body~deny', true],
    ['body~Deny', false],
    ['sequence>=5', true],
    ['audit.sequence.number=5', true],
    ['audit.record.id=r5', true],
    ['event<s', true],
    ['timestamp>=2020-03-16T13', true],
    ['metadata.endpoint~positions', true],
    ['metadata.order.tag=a', true],
    ['metadata.dotted.key=1', true],
    ['metadata.order.none=a', false],
    ['span_id=null', false],
    ['risk.decision=', false],
  ])('where %s → %s', (condition, expected) => {
    expect(matches({ where: [condition] })).toBe(expected);
  });

  it('wants all conditions', () => {
    expect(matches({ where: ['risk.decision=deny', 'sequence=5'] })).toBe(true);
    expect(matches({ where: ['risk.decision=deny', 'sequence=6'] })).toBe(false);
  });

  it.each<[FilterOptions, string]>([
    [{ category: ['riks'] }, '(did you mean "risk"?), got "riks"'],
    [{ severity: 'loud' }, '--severity: expected one of TRACE, DEBUG, INFO, WARN, ERROR, FATAL'],
    [{ since: 'yesterday' }, '--since: expected a date'],
    [{ since: '2020-02-31' }, '--since: expected a date'],
    [{ until: '2020-03-16T25:00' }, '--until: expected a date'],
    [{ until: '24' }, '--until: expected a date'],
    [{ trace: 'xyz' }, '--trace: expected 8 to 32 hexadecimal digits, got "xyz"'],
    [{ minDuration: 'long' }, '--min-duration: expected milliseconds'],
    [{ minDuration: '' }, '--min-duration: expected milliseconds'],
    [{ where: ['risk.decision'] }, '--where: expected key=value'],
    [{ where: ['=x'] }, '--where: expected key=value'],
  ])('refuses %j', (options, message) => {
    expect(refusal(options)).toContain(message);
  });
});

describe('a pattern of event names', () => {
  it('has no special character but the star', () => {
    expect(namePattern('a.b')('aXb')).toBe(false);
    expect(namePattern('a.*')('a.b.c')).toBe(true);
    expect(namePattern('*')('')).toBe(true);
    expect(namePattern('a+*')('aab')).toBe(false);
    expect(namePattern('(')('(')).toBe(true);
  });
});
