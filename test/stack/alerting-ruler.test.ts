import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lokiRules } from '../../src/alerting/render/documents.ts';
import type { AlertEvent, AlertRule } from '../../src/alerting/rule.ts';
import { ALERT_RULES } from '../../src/alerting/rules.ts';
import { createSystemClock } from '../../src/core/clock.ts';
import { otlpRequests } from '../support/alert-history.ts';
import { findStackBinary } from '../support/stack-binaries.ts';
import { type Loki, startLoki } from '../support/stack-loki.ts';

const clock = createSystemClock();
/** Long enough for a busy machine to evaluate every rule within it. */
const WINDOW_MS = 20_000;
const FOR_MS = 2000;
const DEADLINE_MS = 150_000;

/** The rule in a time that a test can wait for. */
function quick(rule: AlertRule): AlertRule {
  const { measure } = rule;
  return {
    ...rule,
    windowMs: WINDOW_MS,
    forMs: rule.forMs === 0 ? 0 : FOR_MS,
    measure: measure.kind === 'absence' ? { ...measure, lookbackMs: 600_000 } : measure,
  };
}

type Made = readonly [name: string, attributes?: Readonly<Record<string, unknown>>, severityNumber?: number];
const times = (count: number, made: Made): readonly Made[] => Array.from({ length: count }, () => made);
const health = (attributes: Readonly<Record<string, unknown>>): Made => ['audit.health', attributes];
const breaker = (code: number, state: string): Made => [
  'risk.circuit_breaker.state_change',
  {
    'risk.circuit_breaker.name': 'broker',
    'risk.circuit_breaker.state.code': code,
    'risk.circuit_breaker.state.new': state,
  },
];
const limit = (name: string, type: string, utilization: number): Made => [
  name,
  { 'risk.limit.type': type, 'risk.decision': 'allow', 'risk.limit.utilization': utilization },
];

/** Rule → what makes it fire, and what it must stay quiet on. */
const MADE: Readonly<Record<string, { readonly fire: readonly Made[]; readonly quiet: readonly Made[] }>> = {
  trading_halted: {
    fire: [['risk.trading_state_change', { 'risk.trading_state.code': 2, 'risk.scope': 'global' }]],
    quiet: [['risk.trading_state_snapshot', { 'risk.trading_state.code': 0 }]],
  },
  breaker_open_long: { fire: [breaker(1, 'OPEN'), breaker(2, 'HALF_OPEN')], quiet: [breaker(0, 'CLOSED')] },
  breaker_flapping: {
    fire: times(4, breaker(1, 'OPEN')),
    quiet: [...times(3, breaker(1, 'OPEN')), breaker(0, 'CLOSED')],
  },
  limit_near: {
    fire: [limit('risk.portfolio_limit.check', 'leverage', 0.95)],
    quiet: [limit('risk.portfolio_limit.check', 'leverage', 0.5)],
  },
  rejection_rate: {
    fire: [...times(5, ['order.rejected']), ...times(7, ['order.placed'])],
    quiet: times(12, ['order.placed']),
  },
  errors_per_hour: { fire: times(11, ['system.error', {}, 17]), quiet: times(5, ['system.error', {}, 17]) },
  api_latency_p95: {
    fire: times(5, ['api.call', { 'timing.duration_ms': 4000, 'trading.venue': 'x' }]),
    quiet: times(5, ['api.call', { 'timing.duration_ms': 40, 'trading.venue': 'x' }]),
  },
  api_latency_mean: {
    fire: times(3, ['api.call', { 'timing.duration_ms': 3000 }]),
    quiet: times(3, ['api.call', { 'timing.duration_ms': 30 }]),
  },
  order_outcome_unknown: {
    fire: [['order.outcome_unknown', { 'trading.symbol': 'AAPL' }, 17]],
    quiet: [['order.placed', { 'trading.symbol': 'AAPL' }]],
  },
  stop_gap: {
    fire: [
      [
        'risk.trailing_stop.trigger',
        { 'trading.symbol': 'AAPL', 'risk.trailing_stop.gap': 3, 'risk.trailing_stop.stop_price': 100 },
      ],
    ],
    quiet: [
      [
        'risk.trailing_stop.trigger',
        { 'trading.symbol': 'AAPL', 'risk.trailing_stop.gap': 0.1, 'risk.trailing_stop.stop_price': 100 },
      ],
    ],
  },
  stop_triggered: {
    fire: [['risk.trailing_stop.trigger', { 'trading.symbol': 'AAPL' }]],
    quiet: [['risk.trailing_stop.update', { 'trading.symbol': 'AAPL' }]],
  },
  daily_loss_near: {
    fire: [limit('risk.portfolio_limit.warning', 'daily_loss', 0.85)],
    quiet: [limit('risk.portfolio_limit.check', 'daily_loss', 0.3)],
  },
  limit_hits_per_day: {
    fire: times(11, limit('risk.portfolio_limit.rejection', 'leverage', 1.1)),
    quiet: times(2, limit('risk.portfolio_limit.rejection', 'leverage', 1.1)),
  },
  position_capping: { fire: times(11, ['risk.position_size_capped']), quiet: [['risk.position_size_capped']] },
  trade_success_rate: {
    fire: [...times(3, ['trade.entry']), ...times(3, ['trade.execution_failed'])],
    quiet: times(6, ['trade.entry']),
  },
  health_check_success: {
    fire: times(6, ['system.health_check', { 'system.status': 'degraded' }]),
    quiet: times(6, ['system.health_check', { 'system.status': 'healthy' }]),
  },
  // Silence follows by itself.
  no_heartbeat: { fire: [health({})], quiet: [['system.stop']] },
  audit_degraded: {
    fire: [health({ 'audit.health.journal_mode': 'failing' })],
    quiet: [health({ 'audit.health.journal_mode': 'direct' })],
  },
  shipping_backlog: {
    fire: [health({ 'audit.health.backlog_seconds': 900 })],
    quiet: [health({ 'audit.health.backlog_seconds': 2 })],
  },
  audit_finding: { fire: [['audit.finding', { 'audit.finding.kind': 'changed' }, 17]], quiet: [['audit.checkpoint']] },
  checkpoint_overdue: {
    fire: [health({ 'audit.health.checkpoint_age_ms': 900_000 })],
    quiet: [health({ 'audit.health.checkpoint_age_ms': 900 })],
  },
  clock_step: {
    fire: [health({ 'audit.health.clock_steps': 1 }), health({ 'audit.health.clock_steps': 2 })],
    quiet: times(2, health({ 'audit.health.clock_steps': 2 })),
  },
  disk_nearly_full: {
    fire: [health({ 'audit.health.disk_free_bytes': 500_000_000 })],
    quiet: [health({ 'audit.health.disk_free_bytes': 50_000_000_000 })],
  },
};

const serviceOf = (id: string, kind: 'fire' | 'quiet') => `${kind}-${id.replaceAll('_', '-')}`;

/** The events of each rule's service, at this time, one after the other. */
function eventsNow(kind: 'fire' | 'quiet'): readonly AlertEvent[] {
  const now = Math.floor(clock.now());
  return Object.entries(MADE).flatMap(([id, made]) =>
    made[kind].map(([name, attributes = {}, severityNumber = 9], index) => ({
      name,
      attributes,
      severityNumber,
      service: serviceOf(id, kind),
      // Silence of one that was stopped begins with its last beat.
      timeMs: now - 100 + index,
      recordId: `${kind}-${id}-${index}`,
    })),
  );
}

interface RulerAlert {
  readonly state: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

describe.skipIf(findStackBinary('loki').path === undefined)('the ruler of a real Loki', () => {
  let directory: string;
  let loki: Loki;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'risktrail-ruler-'));
    const rules = join(directory, 'alert-rules');
    mkdirSync(join(rules, 'fake'), { recursive: true });
    const document = lokiRules(ALERT_RULES.map(quick), { intervalMs: 1000 });
    // JSON is YAML.
    writeFileSync(join(rules, 'fake', 'rules.yaml'), JSON.stringify(document));
    loki = await startLoki(directory, { LOKI_RULES_DIRECTORY: rules, LOKI_RULE_INTERVAL: '1s' });
  }, 120_000);
  afterAll(async () => {
    await loki?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  async function send(events: readonly AlertEvent[]): Promise<void> {
    for (const request of otlpRequests(events, true)) {
      const headers = { 'content-type': 'application/json' };
      const body = JSON.stringify(request);
      const answer = await fetch(`${loki.endpoint}/otlp/v1/logs`, { method: 'POST', headers, body });
      expect([answer.status, await answer.text()]).toEqual([204, '']);
    }
  }

  async function alerts(): Promise<readonly RulerAlert[]> {
    const answer = await fetch(`${loki.endpoint}/prometheus/api/v1/alerts`);
    return ((await answer.json()) as { data: { alerts: RulerAlert[] } }).data.alerts;
  }

  async function health(): Promise<Readonly<Record<string, string>>> {
    interface Rules {
      readonly data: { readonly groups: readonly { readonly rules: readonly Record<string, string>[] }[] };
    }
    const answer = (await (await fetch(`${loki.endpoint}/prometheus/api/v1/rules`)).json()) as Rules;
    const rules = answer.data.groups.flatMap((group) => group.rules);
    return Object.fromEntries(rules.map(({ name, health: is, lastError }) => [name!, lastError || is!]));
  }

  it('takes each rule from normal to firing to resolved, and leaves quiet what is', async () => {
    const ids = ALERT_RULES.map(({ id }) => id);
    expect(Object.keys(MADE)).toEqual(ids);
    const deadline = clock.monotonic() + DEADLINE_MS;
    const waitFor = async (isDone: () => Promise<boolean>) => {
      while (!(await isDone()) && clock.monotonic() < deadline) await sleep(500);
    };
    await waitFor(async () => {
      const states = Object.values(await health());
      return states.length === ids.length && states.every((state) => state === 'ok');
    });
    expect(await health()).toEqual(Object.fromEntries(ids.map((id) => [id, 'ok'])));
    expect(await alerts()).toEqual([]);

    await send(eventsNow('quiet'));
    await send(eventsNow('fire'));
    const fired = new Map<string, RulerAlert>();
    const disturbed = new Set<string>();
    const look = async () => {
      for (const alert of await alerts()) {
        const { rule = '', service_name: service = '' } = alert.labels;
        if (alert.state !== 'firing') continue;
        if (service === serviceOf(rule, 'fire')) fired.set(rule, alert);
        if (service === serviceOf(rule, 'quiet')) disturbed.add(rule);
      }
    };
    await waitFor(async () => {
      await look();
      return fired.size === ids.length;
    });
    expect(ids.filter((id) => !fired.has(id))).toEqual([]);
    expect([...disturbed]).toEqual([]);
    expect(fired.get('limit_near')!.annotations['summary']).toBe('Limit leverage is used to 95%');
    expect(fired.get('stop_gap')!.annotations['summary']).toBe('A stop of AAPL fired 3% beyond its level');
    expect(fired.get('trading_halted')!.annotations['runbook']).toBe('docs/runbooks/trading-halted.md');

    const standing = async () =>
      (await alerts()).filter(({ labels }) => labels['service_name'] === serviceOf(labels['rule']!, 'fire'));
    await waitFor(async () => {
      // Whoever was silent gives a sign of life.
      const beat = { name: 'audit.health', severityNumber: 9, recordId: '', attributes: {} };
      await send([{ ...beat, timeMs: clock.now(), service: serviceOf('no_heartbeat', 'fire') }]);
      return (await standing()).length === 0;
    });
    expect((await standing()).map(({ labels }) => labels['rule'])).toEqual([]);
  }, 240_000);
});
