import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { AlertRule } from '../../src/alerting/rule.ts';
import { listAlerts } from '../../src/analysis/alerts.ts';
import { openTrail } from '../../src/analysis/index.ts';
import { verifyTrail } from '../../src/audit/verify/verify.ts';
import { addAlertsCommand } from '../../src/cli/commands/alerts.ts';
import type { AlertNotice } from '../../src/index.ts';
import { createManualClock } from '../../src/index.ts';
import { testRule } from '../support/alerting.ts';
import { runCommand } from '../support/command.ts';
import { eventNames, readBack, readTrail, startTestTrail, temporaryDirectory } from '../support/trail.ts';

const START_MS = Date.UTC(2026, 10, 20, 15);
const unknown = { 'trading.symbol': 'AAPL', 'trading.order.id': 'o-1' } as const;

/** A server that answers with the given statuses, the last one for ever. */
async function receiver(...statuses: readonly number[]) {
  const notices: AlertNotice[] = [];
  const headers: IncomingMessage['headers'][] = [];
  let count = 0;
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    let text = '';
    request.on('data', (chunk) => {
      text += chunk;
    });
    request.on('end', () => {
      const status = statuses[Math.min(count++, statuses.length - 1)]!;
      headers.push(request.headers);
      if (status < 300) notices.push(JSON.parse(text));
      response.writeHead(status).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  return { url, notices, headers, requests: () => count };
}

const eventually = <T>(check: () => T) => vi.waitFor(check, { timeout: 30_000, interval: 20 });

describe('alerts of a running trail', () => {
  it('are recorded once an episode with the events behind them, and resolved', async () => {
    const clock = createManualClock(START_MS);
    const told: AlertNotice[] = [];
    const trail = await startTestTrail({ clock, alerts: { onAlert: (notice) => told.push(notice) } });
    const first = trail.emit('order.outcome_unknown', unknown);
    clock.advance(1000);
    const second = trail.emit('order.outcome_unknown', unknown);
    expect(trail.alerts!.open()).toMatchObject([{ rule: 'order_outcome_unknown', status: 'ACTIVE' }]);
    clock.advance(15 * 60_000);
    trail.emit('order.placed', { 'trading.symbol': 'AAPL', 'trading.side': 'buy' });
    expect(trail.alerts!.open()).toEqual([]);
    await eventually(() => expect(told.map(({ status }) => status)).toEqual(['raised', 'resolved']));
    const records = await readBack(trail);
    const alerts = records.filter(({ event }) => event === 'alert.raised' || event === 'alert.resolved');
    expect(alerts).toHaveLength(2);
    expect(alerts[0]).toMatchObject({
      'alert.rule': 'order_outcome_unknown',
      'alert.type': 'CRITICAL',
      'alert.severity': 'IMMEDIATE',
      'alert.title': 'An order of AAPL may have been executed: no answer came',
      'alert.group': { 'trading.symbol': 'AAPL' },
      'alert.value': 1,
      'alert.threshold': 0,
      'alert.events': [first],
      'risk.cause.record_id': first,
      'trading.symbol': 'AAPL',
    });
    expect(alerts[1]).toMatchObject({ 'alert.id': alerts[0]!['alert.id'], 'risk.actor': 'alert_rules' });
    expect(alerts.every((one) => one['audit.invalid'] === undefined && one['audit.missing'] === undefined)).toBe(true);
    expect(told[0]).toMatchObject({
      id: alerts[0]!['alert.id'],
      value: 1,
      events: [first],
      runbook: 'order-outcome-unknown',
    });
    expect(second).not.toBe(first);
  });

  it('are off unless asked for', async () => {
    const trail = await startTestTrail();
    trail.emit('order.outcome_unknown', unknown);
    expect(trail.alerts).toBeUndefined();
    expect(eventNames(await readBack(trail))).toEqual(['order.outcome_unknown']);
  });

  it('stand in the trace of their cause, with values masked as in the trail', async () => {
    const trail = await startTestTrail({ alerts: true });
    const correlationId = '0193f6a0-1111-7aaa-8bbb-123456789abc';
    trail.withContext({ correlationId, symbol: 'BTC/USDT' }, () => trail.emit('order.outcome_unknown', {} as never));
    const raised = (await readBack(trail)).find(({ event }) => event === 'alert.raised')!;
    expect(raised.trace_id).toBe(correlationId.replaceAll('-', ''));
    expect(raised['alert.group']).toEqual({ 'trading.symbol': 'BTC/USDT' });
  });

  it('do not watch the process’s own life: a dead one tells nobody', async () => {
    const trail = await startTestTrail({ alerts: true });
    expect(trail.alerts!.rules.map(({ id }) => id)).not.toContain('no_heartbeat');
  });

  it('take thresholds from a file and rules from code, and refuse what is wrong', async () => {
    const file = join(temporaryDirectory(), 'alerts.yaml');
    writeFileSync(file, 'rules:\n  order_outcome_unknown: { threshold: 1 }\n  stop_gap: { enabled: false }\n');
    const own: AlertRule = testRule({
      id: 'own',
      measure: { kind: 'count', of: [{ events: ['order.cancelled'] }] },
      windowMs: 60_000,
    });
    const trail = await startTestTrail({ alerts: { file, rules: [own] } });
    expect(trail.alerts!.rules.map(({ id }) => id)).toContain('own');
    expect(trail.alerts!.rules.map(({ id }) => id)).not.toContain('stop_gap');
    trail.emit('order.outcome_unknown', unknown);
    trail.emit('order.cancelled', {});
    expect(trail.alerts!.open()).toEqual([]);
    trail.emit('order.outcome_unknown', unknown);
    trail.emit('order.cancelled', {});
    expect(trail.alerts!.open().map(({ rule }) => rule)).toEqual(['order_outcome_unknown', 'own']);
    await trail.close();
    writeFileSync(file, 'rules:\n  order_outcome_unknwon: { threshold: 1 }\n');
    await expect(startTestTrail({ alerts: { file } })).rejects.toThrow(
      'alerts.yaml.rules.order_outcome_unknwon: unknown option (did you mean "order_outcome_unknown"?)',
    );
    await expect(startTestTrail({ alerts: { webhook: 'ftp://x' } })).rejects.toThrow('an http or https address');
    await expect(startTestTrail({ alerts: { hook: 'x' } as never })).rejects.toThrow('hook');
  });

  it('end by a person’s word, with actor and reason, and are not raised again at once', async () => {
    const trail = await startTestTrail({ alerts: true });
    trail.emit('order.outcome_unknown', unknown);
    const [{ id }] = trail.alerts!.open() as unknown as readonly [{ id: string }];
    expect(trail.alerts!.acknowledge(id, { actor: 'A', reason: 'looking' })).toBe(true);
    expect(trail.alerts!.open()).toMatchObject([{ id, status: 'ACKNOWLEDGED' }]);
    expect(trail.alerts!.dismiss(id, { actor: 'B', reason: 'a test' })).toBe(true);
    expect(trail.alerts!.dismiss(id, { actor: 'B', reason: 'again' })).toBe(false);
    trail.emit('order.outcome_unknown', unknown);
    expect(trail.alerts!.open()).toEqual([]);
    const records = await readBack(trail);
    const acts = records.filter(({ event }) => event === 'alert.acknowledged' || event === 'alert.dismissed');
    expect(acts.map((one) => [one['alert.id'], one['risk.actor'], one['alert.note']])).toEqual([
      [id, 'A', 'looking'],
      [id, 'B', 'a test'],
    ]);
    expect(records.filter(({ event }) => event === 'alert.raised')).toHaveLength(1);
    await using opened = openTrail(trail.dataDir);
    const { rows } = await opened.sql('SELECT status, acknowledged_by, resolved_by, rule FROM alerts');
    expect(rows).toEqual([['DISMISSED', 'A', 'B', 'order_outcome_unknown']]);
  });

  it('are silenced by a halt, and raised afterwards where they still hold', async () => {
    const clock = createManualClock(START_MS);
    const trail = await startTestTrail({ clock, alerts: true });
    trail.gate.halt({ actor: 'A', reason: 'test' });
    for (let i = 0; i < 12; i++) trail.emit('system.error', { operation: 'x' });
    expect(trail.alerts!.open().map(({ rule }) => rule)).toEqual(['trading_halted']);
    trail.gate.resume({ actor: 'A', reason: 'test' });
    expect(trail.alerts!.open().map(({ rule }) => rule)).toEqual(['errors_per_hour']);
  });
});

describe('the notices of alerts', () => {
  it('reach a webhook in order, tried again where it fails for a while', async () => {
    const hook = await receiver(503, 200);
    const clock = createManualClock(START_MS);
    const webhook = { url: hook.url, headers: { authorization: 'Bearer t' } };
    const trail = await startTestTrail({ clock, alerts: { webhook } });
    trail.emit('order.outcome_unknown', unknown);
    trail.emit('risk.trailing_stop.trigger', { 'trading.symbol': 'AAPL' } as never);
    await eventually(() => expect(hook.notices).toHaveLength(2));
    expect(hook.notices.map(({ rule, status }) => [rule, status])).toEqual([
      ['order_outcome_unknown', 'raised'],
      ['stop_triggered', 'raised'],
    ]);
    expect(hook.requests()).toBe(3);
    expect(hook.headers[0]).toMatchObject({ authorization: 'Bearer t', 'content-type': 'application/json' });
    await eventually(() => expect(trail.alerts!.delivery).toEqual({ sent: 2, failed: 0, waiting: 0 }));
    expect(trail.health().failures.warnings).toBe(1);
    expect(JSON.stringify(await readBack(trail))).not.toContain(hook.url);
  });

  it('that cannot be delivered are counted, and harm nobody', async () => {
    const hook = await receiver(400);
    const onAlert = vi.fn(() => {
      throw new Error('callback broke');
    });
    const trail = await startTestTrail({ alerts: { webhook: hook.url, onAlert } });
    trail.emit('order.outcome_unknown', unknown);
    await eventually(() => {
      const { byWhere } = trail.health().failures;
      expect(byWhere).toEqual({ 'alert webhook': 1, 'alert callback': 1 });
    });
    expect(hook.requests()).toBe(1);
    expect(trail.alerts!.delivery).toEqual({ sent: 0, failed: 1, waiting: 0 });
    expect(trail.emit('order.outcome_unknown', unknown)).toBeDefined();
    const failed = (await readBack(trail)).filter(({ event }) => event === 'alert.delivery_failed');
    expect(failed.map((one) => [one['alert.channel'], one['error.message']]).sort()).toEqual([
      ['callback', 'callback broke'],
      ['webhook', 'the webhook answered 400'],
    ]);
    await using opened = openTrail(trail.dataDir);
    expect((await opened.sql('SELECT status FROM alerts')).rows).toEqual([['ACTIVE']]);
  });

  it('do not keep the trail from closing', async () => {
    const server = createServer(() => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const trail = await startTestTrail({
      alerts: { webhook: `http://127.0.0.1:${(server.address() as AddressInfo).port}` },
    });
    trail.emit('order.outcome_unknown', unknown);
    await trail.close();
    expect(trail.alerts!.delivery).toMatchObject({ sent: 0, failed: 1 });
  });
});

describe('what a person does beside a running service', () => {
  it('by the command line, reaches it within a moment, and is recorded once', async () => {
    const clock = createManualClock(START_MS);
    const trail = await startTestTrail({ clock, alerts: true });
    const { dataDir } = trail;
    const act = (name: string, id: string, reason: string) =>
      runCommand(addAlertsCommand, ['alerts', name, dataDir, '--id', id, '--actor', 'B', '--reason', reason]);
    trail.gate.halt({ actor: 'A', reason: 'test' });
    trail.emit('order.outcome_unknown', unknown);
    const [halted, order] = trail.alerts!.open();
    expect(await act('ack', halted!.id, 'looking at it')).toMatchObject({ status: 0 });
    await eventually(() =>
      expect(trail.alerts!.open()).toMatchObject([
        { id: halted!.id, status: 'ACKNOWLEDGED', actor: 'B', note: 'looking at it' },
        { id: order!.id, status: 'ACTIVE' },
      ]),
    );
    expect(await act('dismiss', order!.id, 'a drill')).toMatchObject({ status: 0 });
    await eventually(() => expect(trail.alerts!.open().map(({ id }) => id)).toEqual([halted!.id]));
    // What was dismissed is not raised again while its condition holds.
    trail.emit('order.outcome_unknown', unknown);
    expect(trail.alerts!.open().map(({ id }) => id)).toEqual([halted!.id]);
    await trail.close();
    const records = await readTrail(dataDir);
    const names = records.map(({ event }) => event).filter((event) => /^alert\.(ack|dis)/.test(event ?? ''));
    expect(names).toEqual(['alert.acknowledged', 'alert.dismissed']);
    const { ok } = await verifyTrail({ paths: [dataDir] });
    expect(ok).toBe(true);
  });
});

describe('after a restart', () => {
  it('an alert that was open is not raised again, also where a person looked at it meanwhile', async () => {
    const dataDir = temporaryDirectory();
    const clock = createManualClock(START_MS);
    const before = await startTestTrail({ dataDir, clock, alerts: true });
    before.gate.halt({ actor: 'A', reason: 'test' });
    before.emit('order.outcome_unknown', unknown);
    const [halted] = before.alerts!.open();
    await before.close();
    clock.advance(5000);
    const acked = await runCommand(addAlertsCommand, [
      ...['alerts', 'ack', dataDir, '--id', halted!.id, '--actor', 'B', '--reason', 'looking at it'],
    ]);
    expect(acked).toMatchObject({ status: 0 });
    const after = await startTestTrail({ dataDir, clock, alerts: true });
    expect(after.alerts!.open()).toMatchObject([
      { rule: 'trading_halted', id: halted!.id, status: 'ACKNOWLEDGED', actor: 'B', note: 'looking at it' },
      { rule: 'order_outcome_unknown', status: 'ACTIVE' },
    ]);
    after.gate.resume({ actor: 'A', reason: 'over' });
    after.emit('order.outcome_unknown', unknown);
    expect(after.alerts!.open().map(({ rule }) => rule)).toEqual(['order_outcome_unknown']);
    await after.close();
    const raised = (await readTrail(dataDir)).filter(({ event }) => event === 'alert.raised');
    expect(raised.map((one) => one['alert.rule'])).toEqual(['trading_halted', 'order_outcome_unknown']);
    expect((await verifyTrail({ paths: [dataDir] })).ok).toBe(true);
  });

  it('an alert that was dismissed stays so', async () => {
    const dataDir = temporaryDirectory();
    const clock = createManualClock(START_MS);
    const before = await startTestTrail({ dataDir, clock, alerts: true });
    before.gate.halt({ actor: 'A', reason: 'test' });
    await before.close();
    clock.advance(5000);
    const [{ id }] = (await listAlerts([dataDir])) as unknown as readonly [{ id: string }];
    await runCommand(addAlertsCommand, [
      ...['alerts', 'dismiss', dataDir, '--id', id.slice(0, 20), '--actor', 'B', '--reason', 'on purpose'],
    ]);
    const after = await startTestTrail({ dataDir, clock, alerts: true });
    after.snapshot();
    expect(after.alerts!.open()).toEqual([]);
  });
});

describe('risktrail alerts', () => {
  it('lists, evaluates, and says so where there is no such alert', async () => {
    const trail = await startTestTrail({ alerts: true });
    trail.emit('order.outcome_unknown', unknown);
    await trail.close();
    const run = (...args: string[]) => runCommand(addAlertsCommand, ['alerts', ...args]);
    const { dataDir } = trail;
    expect((await run('list', dataDir)).out).toContain('An order of AAPL may have been executed');
    expect((await run('list', dataDir, '--csv')).out).toMatch(
      /^raised,status,severity,id,service,title\r\n[^,]+Z,ACTIVE,IMMEDIATE,[^,]+,[^,]+,An order of AAPL[^\r]*\r\n$/,
    );
    expect((await run('rules', '--csv')).out.split('\r\n')).toHaveLength(25);
    const acts = ['--actor', 'A', '--reason', 'r'];
    const missing = await run('ack', dataDir, '--id', 'ffff', ...acts);
    expect([missing.status, missing.err]).toEqual([1, expect.stringContaining('no open alert has the id "ffff"')]);
    const evaluated = await run('evaluate', dataDir, '--json');
    expect(evaluated.status).toBe(1);
    expect(JSON.parse(evaluated.out.trim())).toMatchObject({ rule: 'order_outcome_unknown', resolved_at: null });
    expect((await run('evaluate', dataDir, '--rule', 'stop_gap')).status).toBe(0);
    await expect(run('evaluate', dataDir, '--rule', 'stopgap')).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      message: expect.stringMatching(/^--rule: .*did you mean "stop_gap"\?/),
    });
    expect((await run('rules')).out.split('\n')).toHaveLength(25);
  });
});
