/** Events made for alert rules, and records of a trail, as lines of OTLP/JSON: for files, and for a real Loki. */

import type { AlertEvent, AlertRule } from '../../src/alerting/rule.ts';
import { recordTimeMs } from '../../src/analysis/alerts.ts';
import type { FlatRecord } from '../../src/analysis/flat-record.ts';
import { FLAT_MEMBERS } from '../../src/analysis/flat-record.ts';
import { SEVERITY_NUMBERS } from '../../src/catalog/define.ts';
import { familyLabels } from '../../src/catalog/families.ts';

/** A generator of numbers from 0 to below 1, the same for the same seed. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    // xorshift32
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
}

type Attributes = Readonly<Record<string, unknown>>;

/** Every event that a rule looks at, with attributes that differ from time to time. */
const MAKERS: Readonly<Record<string, (random: () => number) => Attributes>> = {
  'risk.trading_state_change': (r) => {
    const code = Math.floor(r() * 3);
    return { 'risk.trading_state.code': code, 'risk.scope': r() < 0.7 ? 'global' : 'symbol:AAPL' };
  },
  'risk.trading_state_snapshot': (r) => ({ 'risk.trading_state.code': Math.floor(r() * 3) }),
  'risk.trading_state_scope_snapshot': (r) => ({
    'risk.trading_state.code': Math.floor(r() * 3),
    'risk.scope': 'symbol:AAPL',
  }),
  'risk.circuit_breaker.state_change': (r) => {
    const code = Math.floor(r() * 5);
    return {
      'risk.circuit_breaker.name': r() < 0.5 ? 'broker' : 'book',
      'risk.circuit_breaker.state.code': code,
      'risk.circuit_breaker.state.new': ['CLOSED', 'OPEN', 'HALF_OPEN', 'DISABLED', 'FORCED_OPEN'][code],
    };
  },
  'risk.circuit_breaker.snapshot': (r) => ({
    'risk.circuit_breaker.name': r() < 0.5 ? 'broker' : 'book',
    'risk.circuit_breaker.state.code': Math.floor(r() * 5),
  }),
  'risk.portfolio_limit.check': limit,
  'risk.portfolio_limit.warning': limit,
  'risk.portfolio_limit.rejection': limit,
  'risk.portfolio_health': limit,
  'risk.limit_hit': limit,
  'order.placed': () => ({ 'trading.symbol': 'AAPL' }),
  'order.rejected': () => ({ 'trading.symbol': 'AAPL' }),
  'order.outcome_unknown': (r) => ({ 'trading.symbol': r() < 0.5 ? 'AAPL' : 'BTC/USDT' }),
  'api.call': (r) => ({
    'timing.duration_ms': Math.round(r() * 2000) / 4,
    ...(r() < 0.5 ? { 'trading.venue': 'x' } : {}),
  }),
  'api.error': (r) => (r() < 0.5 ? {} : { 'timing.duration_ms': Math.round(r() * 8000) / 4 }),
  'risk.trailing_stop.trigger': (r) => ({
    'trading.symbol': r() < 0.5 ? 'AAPL' : 'MSFT',
    'risk.trailing_stop.gap': Math.round(r() * 400) / 100,
    ...(r() < 0.9 ? { 'risk.trailing_stop.stop_price': 100 + Math.round(r() * 100) } : {}),
  }),
  'risk.position_size_capped': () => ({}),
  'trade.entry': () => ({}),
  'trade.executed': () => ({}),
  'trade.execution_failed': () => ({}),
  'system.health_check': (r) => ({ 'system.status': r() < 0.8 ? 'healthy' : 'degraded' }),
  'system.stop': () => ({}),
  'audit.health': (r) => ({
    'audit.health.backlog_seconds': Math.round(r() * 800) / 2,
    'audit.health.checkpoint_age_ms': Math.round(r() * 600_000),
    'audit.health.clock_steps': Math.floor(r() * 3),
    'audit.health.disk_free_bytes': Math.floor(r() * 3e9),
    'audit.health.journal_mode': ['direct', 'direct', 'buffered', 'failing'][Math.floor(r() * 4)],
  }),
  'audit.degraded': () => ({}),
  'audit.finding': (r) => ({ 'audit.finding.kind': r() < 0.5 ? 'changed' : 'missing' }),
  'alert.raised': () => ({ 'alert.id': 'x' }),
  'market.price': () => ({ 'trading.symbol': 'AAPL', 'trading.price': '150.25' }),
};

function limit(r: () => number): Attributes {
  return {
    'risk.limit.type': r() < 0.5 ? 'daily_loss' : 'portfolio_delta',
    'risk.decision': r() < 0.7 ? 'allow' : 'deny',
    ...(r() < 0.9 ? { 'risk.limit.utilization': Math.round(r() * 1200) / 1000 } : {}),
  };
}

const ERRORS: ReadonlySet<string> = new Set([
  'order.outcome_unknown',
  'api.error',
  'trade.execution_failed',
  'audit.degraded',
  'audit.finding',
  'alert.raised',
]);

/** Grave enough for a stream of their own in Loki, beside that of other events of the same group. */
const WARNINGS: ReadonlySet<string> = new Set([
  'risk.trading_state_change',
  'risk.circuit_breaker.state_change',
  'risk.portfolio_limit.rejection',
  'risk.trailing_stop.trigger',
]);

function severityOf(name: string): number {
  if (ERRORS.has(name)) return SEVERITY_NUMBERS.ERROR;
  return WARNINGS.has(name) ? SEVERITY_NUMBERS.WARN : SEVERITY_NUMBERS.INFO;
}

/** A bit more than a day. */
const SPAN_MS = 26 * 3_600_000;

/** A day of two services, busier towards its end; no two events at one time. */
export function madeHistory(endMs: number, seed: number, count: number, spanMs = SPAN_MS): readonly AlertEvent[] {
  const random = randomFrom(seed);
  const names = Object.keys(MAKERS);
  const times = Array.from({ length: count }, () => Math.floor(endMs - random() ** 3 * spanMs));
  times.sort((a, b) => a - b);
  for (let i = 1; i < times.length; i++) times[i] = Math.max(times[i]!, times[i - 1]! + 1);
  return times.map((timeMs, index) => {
    const name = names[Math.floor(random() * names.length)]!;
    return {
      name,
      timeMs,
      severityNumber: severityOf(name),
      service: random() < 0.8 ? 'bot' : 'other-bot',
      recordId: `made-${seed}-${index}`,
      attributes: MAKERS[name]!(random),
    };
  });
}

/** Records of a trail as events, moved so that the last is at `endMs`, and in another pace. @param factor 1: their own */
export function movedRecords(records: readonly FlatRecord[], endMs: number, factor = 1): readonly AlertEvent[] {
  const last = Math.max(...records.map(recordTimeMs));
  const members: ReadonlySet<string> = new Set(FLAT_MEMBERS);
  return records.map((record) => ({
    name: record.event ?? '',
    timeMs: endMs + (recordTimeMs(record) - last) * factor,
    severityNumber: record.severity_number,
    service: record.service ?? '',
    recordId: record.record_id ?? '',
    attributes: Object.fromEntries(Object.entries(record).filter(([key]) => !members.has(key))),
  }));
}

function anyValue(value: unknown): object {
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'number') return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
  return { stringValue: typeof value === 'string' ? value : JSON.stringify(value) };
}

const ids = (recordId: string) => (recordId === '' ? {} : { 'audit.record.id': recordId });

/** Times to the microsecond, as a trail has them. */
const nanosOf = (ms: number): string => `${BigInt(Math.round(ms * 1000)) * 1000n}`;

/**
 * Requests of OTLP/JSON, one for each service.
 * @param named whether the event's name and family are attributes, too, as the Collector makes them for Loki
 */
export function otlpRequests(events: readonly AlertEvent[], named = false): readonly object[] {
  return [...Map.groupBy(events, ({ service }) => service)].map(([service, own]) => ({
    resourceLogs: [
      {
        resource: { attributes: [{ key: 'service.name', value: { stringValue: service } }] },
        scopeLogs: [
          {
            logRecords: own.map(({ name, timeMs, severityNumber, recordId, attributes }) => ({
              timeUnixNano: nanosOf(timeMs),
              observedTimeUnixNano: nanosOf(timeMs),
              severityNumber,
              eventName: name,
              body: { stringValue: `${name} ${recordId}` },
              attributes: Object.entries({
                ...attributes,
                ...ids(recordId),
                ...(named && { event_name: name, ...familyLabels(name, severityNumber) }),
              })
                .filter(([, value]) => value !== undefined)
                .map(([key, value]) => ({ key, value: anyValue(value) })),
            })),
          },
        ],
      },
    ],
  }));
}

/** One group's measure, so that two ways can be compared: values to nine digits. */
export function measureText(service: string, group: readonly string[], value: number): string {
  return `${[service, ...group].join(' ')} = ${Number(value.toPrecision(9))}`;
}

/** Names of a rule's attributes. */
export const attributesOf = ({ groupBy }: AlertRule): readonly string[] => groupBy.map(({ attribute }) => attribute);
