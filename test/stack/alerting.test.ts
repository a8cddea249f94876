import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AlertEvaluator } from '../../src/alerting/evaluator.ts';
import { labelOf, measureLogql } from '../../src/alerting/render/logql.ts';
import { scaleRule } from '../../src/alerting/render/scale.ts';
import { measureSql } from '../../src/alerting/render/sql.ts';
import type { AlertEvent, AlertRule } from '../../src/alerting/rule.ts';
import { ALERT_RULES } from '../../src/alerting/rules.ts';
import { openTrail } from '../../src/analysis/index.ts';
import { createSystemClock } from '../../src/core/clock.ts';
import { runDemo } from '../../src/demo/main.ts';
import { attributesOf, madeHistory, measureText, movedRecords, otlpRequests } from '../support/alert-history.ts';
import { type AskedServer, askLoki, lacksServers } from '../support/stack-servers.ts';
import { readTrail } from '../support/trail.ts';

const clock = createSystemClock();
const SECONDS = 1000;

/** A day in little more than an hour: what is older is not in the memory of a Loki that has just begun. */
const PACE = 1 / 20;
const QUICK_RULES = ALERT_RULES.map((rule) => scaleRule(rule, PACE, 1));

async function send(loki: AskedServer, events: readonly AlertEvent[]): Promise<void> {
  for (const request of otlpRequests(events, true)) {
    const answer = await fetch(`${loki.endpoint}/otlp/v1/logs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(request),
    });
    expect([answer.status, await answer.text()]).toEqual([204, '']);
  }
}

async function get<T>(loki: AskedServer, path: string): Promise<T> {
  const answer = await fetch(`${loki.endpoint}${path}`);
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${decodeURIComponent(path)}\n${text}`);
  return JSON.parse(text) as T;
}

interface Answer {
  readonly data: {
    readonly result: readonly {
      readonly metric: Readonly<Record<string, string>>;
      readonly value: readonly [number, string];
    }[];
  };
}

async function byLogql(loki: AskedServer, rule: AlertRule, atMs: number, streams: string): Promise<string[]> {
  const parameters = new URLSearchParams({
    query: measureLogql(rule, { streams }),
    time: `${BigInt(Math.round(atMs)) * 1_000_000n}`,
  });
  const { data } = await get<Answer>(loki, `/loki/api/v1/query?${parameters}`);
  return data.result
    .map(({ metric, value }) => {
      const group = attributesOf(rule).map((attribute) => metric[labelOf(attribute)] ?? '');
      return measureText(metric['service_name'] ?? '', group, Number(value[1]));
    })
    .sort();
}

function streamed(rules: readonly AlertRule[], events: readonly AlertEvent[], atMs: number): Map<string, string[]> {
  const evaluator = new AlertEvaluator(rules);
  for (const event of events) if (event.timeMs <= atMs) evaluator.observe(event, event.timeMs);
  evaluator.advance(atMs);
  const measured = new Map<string, string[]>(rules.map(({ id }) => [id, []]));
  for (const { rule, service, group, value } of evaluator.measures()) {
    measured.get(rule.id)!.push(measureText(service, Object.values(group), value));
  }
  for (const texts of measured.values()) texts.sort();
  return measured;
}

describe.skipIf(lacksServers('loki'))('alert rules in a real Loki', () => {
  let directory: string;
  let loki: AskedServer;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'risktrail-alerts-'));
    loki = await askLoki(directory);
  }, 120_000);
  afterAll(async () => {
    await loki?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  it('measure what the streaming evaluator measures, in a made-up history', async () => {
    const endMs = Math.floor(clock.now()) - 10 * SECONDS;
    const made = madeHistory(endMs, 11, 1500, 78 * 60 * SECONDS);
    const events = made.map((event) => ({ ...event, service: `made-${event.service}` }));
    await send(loki, events);
    const compared = new Set<string>();
    for (const atMs of [endMs - 20 * 60 * SECONDS, endMs - 3 * SECONDS, endMs]) {
      const expected = streamed(QUICK_RULES, events, atMs);
      for (const rule of QUICK_RULES) {
        const values = expected.get(rule.id)!;
        if (values.length > 0) compared.add(rule.id);
        expect({ rule: rule.id, values: await byLogql(loki, rule, atMs, '{service_name=~"made-.+"}') }).toEqual({
          rule: rule.id,
          values,
        });
      }
    }
    expect(QUICK_RULES.map(({ id }) => id).filter((id) => !compared.has(id) && id !== 'no_heartbeat')).toEqual([]);
  }, 180_000);

  it('find the silence of a service that was not stopped', async () => {
    const endMs = clock.now() - 10 * SECONDS;
    const beat = (service: string, ago: number, name = 'audit.health'): AlertEvent => {
      return { name, timeMs: endMs - ago, service, severityNumber: 9, recordId: '', attributes: {} };
    };
    await send(loki, [
      beat('beat-dead', 600_000),
      beat('beat-stopped', 600_000),
      beat('beat-stopped', 599_000, 'system.stop'),
      beat('beat-killed-later', 599_000, 'system.stop'),
      beat('beat-killed-later', 500_000),
      beat('beat-alive', 1000),
    ]);
    const rule = ALERT_RULES.find(({ id }) => id === 'no_heartbeat')!;
    expect(await byLogql(loki, rule, endMs, '{service_name=~"beat-.+"}')).toEqual([
      'beat-dead = 1',
      'beat-killed-later = 1',
    ]);
  }, 60_000);

  it('count the demo’s records as SQL does', async () => {
    const trailDirectory = join(directory, 'demo');
    await runDemo({ dir: trailDirectory, days: 250, quiet: true, json: true });
    const all = await readTrail(trailDirectory);
    // The day of the first halt and the one before it, as if they had been just now, and at a quicker pace.
    const halted = all.find((one) => one.event === 'risk.trading_state_change')!;
    const day = Date.parse(`${halted.timestamp.slice(0, 10)}T00:00:00Z`);
    const from = new Date(day - 86_400_000).toISOString();
    const to = new Date(day + 86_400_000).toISOString();
    const endMs = Math.floor(clock.now()) - 10 * SECONDS;
    const records = all.filter(({ timestamp, event }) => {
      return timestamp >= from && timestamp < to && !event?.startsWith('audit.');
    });
    const events = movedRecords(records, endMs, PACE);
    await send(loki, events);
    const path = join(directory, 'demo.jsonl');
    const lines = events.flatMap((event) => otlpRequests([event])).map((request) => `${JSON.stringify(request)}\n`);
    writeFileSync(path, lines.join(''));
    await using trail = openTrail(path);
    let measured = 0;
    const isTold = /^risk\.(trading_state_change|trailing_stop\.trigger|portfolio_limit\.check)$/;
    const told = events.filter(({ name }) => isTold.test(name)).map(({ timeMs }) => Math.ceil(timeMs));
    expect(told.length).toBeGreaterThan(2);
    for (const atMs of [...new Set([...told.slice(0, 4), endMs])]) {
      const parameters = { at: `${BigInt(Math.round(atMs)) * 1_000_000n}` };
      for (const rule of QUICK_RULES) {
        const { rows } = await trail.sql(measureSql(rule), parameters);
        const groups = rule.groupBy.length;
        const bySql = rows
          .map((row) => measureText(String(row[0]), row.slice(1, 1 + groups).map(String), Number(row[1 + groups])))
          .sort();
        measured += bySql.length;
        const values = await byLogql(loki, rule, atMs, '{service_name="risktrail-demo"}');
        expect({ rule: rule.id, values }).toEqual({ rule: rule.id, values: bySql });
      }
    }
    expect(measured).toBeGreaterThan(5);
  }, 180_000);
});
