import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { AlertEvaluator } from '../../src/alerting/evaluator.ts';
import { measureSql, ruleSql } from '../../src/alerting/render/sql.ts';
import type { AlertEvent, AlertRule } from '../../src/alerting/rule.ts';
import { ALERT_RULES } from '../../src/alerting/rules.ts';
import { meetsCondition } from '../../src/alerting/series.ts';
import { evaluateAlerts, recordTimeMs } from '../../src/analysis/alerts.ts';
import { openTrail, type Trail } from '../../src/analysis/index.ts';
import { runDemo } from '../../src/demo/main.ts';
import { attributesOf, madeHistory, measureText, movedRecords, otlpRequests } from '../support/alert-history.ts';
import { readTrail, temporaryDirectory } from '../support/trail.ts';

const END_MS = Date.UTC(2026, 10, 20, 15);

/** What the streaming evaluator measures at a time, rule by rule. */
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

const at = (ms: number) => ({ at: `${BigInt(Math.round(ms)) * 1_000_000n}` });

async function queried(trail: Trail, rule: AlertRule, atMs: number): Promise<string[]> {
  const { rows } = await trail.sql(measureSql(rule), at(atMs));
  const groups = attributesOf(rule).length;
  return rows
    .map((row) => measureText(String(row[0]), row.slice(1, 1 + groups).map(String), Number(row[1 + groups])))
    .sort();
}

function writeLines(events: readonly AlertEvent[]): string {
  const path = join(temporaryDirectory(), 'made.jsonl');
  // A record a line, as trails have them.
  const lines = events.flatMap((event) => otlpRequests([event])).map((request) => `${JSON.stringify(request)}\n`);
  writeFileSync(path, lines.join(''));
  return path;
}

describe('SQL and the streaming evaluator', () => {
  it('measure the same in made-up histories, for every rule', async () => {
    const compared = new Set<string>();
    const events = madeHistory(END_MS, 99, 1200);
    await using trail = openTrail(writeLines(events));
    for (const atMs of [END_MS - 90 * 60_000, END_MS]) {
      const expected = streamed(ALERT_RULES, events, atMs);
      for (const rule of ALERT_RULES) {
        const values = await queried(trail, rule, atMs);
        expect({ rule: rule.id, atMs, values }).toEqual({ rule: rule.id, atMs, values: expected.get(rule.id) });
        if (values.length > 0) compared.add(rule.id);
      }
    }
    // Otherwise nothing was compared. Silence has a test of its own.
    const left = ALERT_RULES.map(({ id }) => id).filter((id) => !compared.has(id));
    expect(left.filter((id) => id !== 'no_heartbeat')).toEqual([]);
  }, 120_000);

  it('find the silence of a service that was not stopped', async () => {
    const beat = (service: string, timeMs: number, name = 'audit.health'): AlertEvent => {
      return { name, timeMs, service, severityNumber: 9, recordId: '', attributes: {} };
    };
    const events = [
      beat('dead', END_MS - 600_000),
      beat('stopped', END_MS - 600_000),
      beat('stopped', END_MS - 599_000, 'system.stop'),
      beat('killed-later', END_MS - 599_000, 'system.stop'),
      beat('killed-later', END_MS - 500_000),
      beat('alive', END_MS - 1000),
      beat('long-gone', END_MS - 90_000_000),
    ].toSorted((a, b) => a.timeMs - b.timeMs);
    const rule = ALERT_RULES.find(({ id }) => id === 'no_heartbeat')!;
    await using trail = openTrail(writeLines(events));
    const expected = ['dead = 1', 'killed-later = 1'];
    expect(streamed([rule], events, END_MS).get(rule.id)).toEqual(expected);
    expect(await queried(trail, rule, END_MS)).toEqual(expected);
  });

  it('agree on what meets the condition', async () => {
    const events = madeHistory(END_MS, 5, 800).filter(({ timeMs }) => timeMs <= END_MS);
    await using trail = openTrail(writeLines(events));
    const evaluator = new AlertEvaluator(ALERT_RULES);
    for (const event of events) evaluator.observe(event, event.timeMs);
    evaluator.advance(END_MS);
    const meets = evaluator.measures().filter(({ rule, value }) => meetsCondition(rule.condition, value));
    expect(meets.length).toBeGreaterThan(10);
    for (const rule of ALERT_RULES) {
      const { rows } = await trail.sql(ruleSql(rule), at(END_MS));
      expect([rule.id, rows.length]).toEqual([rule.id, meets.filter((one) => one.rule.id === rule.id).length]);
    }
  }, 60_000);
});

describe('the demo’s trail', () => {
  const directory = temporaryDirectory();
  beforeAll(async () => {
    await runDemo({ dir: directory, days: 250, quiet: true, json: true });
  }, 120_000);

  it('raises what happened, and nothing on its normal days', async () => {
    const { alerts, records } = await evaluateAlerts([directory], ALERT_RULES);
    expect(records).toBeGreaterThan(1000);
    const rules = new Set(alerts.map(({ rule }) => rule));
    expect([...rules].sort()).toEqual(['stop_gap', 'stop_triggered', 'trading_halted']);
    // Each is of a day on which the trail itself tells of a stop or a halt.
    const flat = await readTrail(directory);
    const eventful = flat
      .filter(({ event }) => event === 'risk.trailing_stop.trigger' || event === 'risk.trading_state_change')
      .map(({ timestamp }) => timestamp.slice(0, 10));
    const days = alerts.map(({ raisedMs }) => new Date(raisedMs).toISOString().slice(0, 10));
    expect(days.filter((day) => !eventful.includes(day))).toEqual([]);
    expect(alerts.filter(({ events }) => events.length === 0)).toEqual([]);
    const ids = new Set(flat.map(({ record_id }) => record_id));
    expect(alerts.flatMap(({ events }) => events).filter((id) => !ids.has(id))).toEqual([]);
  }, 60_000);

  it('counts the same by SQL over the views', async () => {
    const flat = await readTrail(directory);
    const real = movedRecords(flat, Math.max(...flat.map(recordTimeMs)));
    const halt = real.find(
      ({ name, attributes }) =>
        name === 'risk.trading_state_change' && attributes['risk.trading_state.new'] === 'HALTED',
    )!;
    await using trail = openTrail(directory);
    const atMs = Math.ceil(halt.timeMs) + 1;
    const expected = streamed(ALERT_RULES, real, atMs);
    expect([...expected.values()].filter((values) => values.length > 0).length).toBeGreaterThan(3);
    for (const rule of ALERT_RULES) {
      expect([rule.id, await queried(trail, rule, atMs)]).toEqual([rule.id, expected.get(rule.id)]);
    }
  }, 120_000);
});
