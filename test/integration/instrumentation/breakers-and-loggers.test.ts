import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { FlatRecord } from '../../../src/analysis/flat-record.ts';
import { type OtlpLogRecord, plainAttributes } from '../../../src/audit/record/otlp.ts';
import { type BotResult, runBot } from '../../support/bots/run-bot.ts';
import { startReceiver } from '../../support/otlp-receiver.ts';
import { folderWith, isMissing, type Majors } from '../../support/previous-majors.ts';
import { readTrail, temporaryDirectory } from '../../support/trail.ts';

const BOTS = join(import.meta.dirname, '../../support/bots');
const LIBRARIES = ['opossum', 'cockatiel', 'pino', 'winston', 'bunyan'];

/** By `import` and by `require`, with the current versions and the previous ones. */
const CASES: readonly [Majors, 'mjs' | 'cjs'][] = [
  ['current', 'mjs'],
  ['current', 'cjs'],
  // They are CommonJS, all of them.
  ['previous', 'cjs'],
];

const bodyOf = (record: OtlpLogRecord) => String((record.body as { stringValue?: string } | undefined)?.stringValue);

// The current bunyan stands beside the previous one.
describe.skipIf(isMissing('previous')).each(CASES)('with the %s versions (%s)', (majors, kind) => {
  let records: FlatRecord[];
  let result: BotResult;
  let again: BotResult;
  let restarted: FlatRecord[];
  let sent: {
    readonly body: string;
    readonly severity: string;
    readonly traceId: unknown;
    readonly attributes: Record<string, unknown>;
  }[];
  let bytes: string;

  beforeAll(async () => {
    const receiver = await startReceiver();
    const dataDir = temporaryDirectory();
    const folder = folderWith(
      majors,
      [`breakers.${kind}`, 'breakers-steps.cjs'].map((name) => join(BOTS, name)),
      LIBRARIES,
    );
    const bot = join(folder, `breakers.${kind}`);
    writeFileSync(
      join(dataDir, 'rules.json'),
      JSON.stringify({
        logRules: [
          { logger: 'engine', level: 'info', match: '^halted', event: 'strategy.exit_signal' },
          { logger: 'router', level: 'warn', event: 'system.error' },
          { logger: 'desk', level: 'info', match: 'by the desk$', event: 'strategy.exit_signal' },
        ],
      }),
    );
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_METRICS_EXPORTER: 'none',
      OTEL_TRACES_EXPORTER: 'none',
      RISKTRAIL_CONFIG_FILE: join(dataDir, 'rules.json'),
    };
    const trail = join(dataDir, 'trail');
    result = await runBot(bot, [], { dataDir: trail, env });
    records = await readTrail(trail);
    sent = receiver.requests
      .flatMap((request) => request.records)
      .map((record) => ({
        body: bodyOf(record),
        severity: String(record.severityText),
        traceId: record.traceId,
        attributes: plainAttributes(record.attributes),
      }))
      .filter(
        ({ attributes }) => attributes['audit.record.id'] === undefined && attributes['log.logger'] !== undefined,
      );
    bytes = receiver.requests.map(({ body }) => body.toString('latin1')).join('');
    if (kind === 'mjs')
      again = await runBot(bot, [], {
        dataDir: trail,
        env: { ...env, OTEL_LOGS_EXPORTER: 'none', RISKTRAIL_SHIPPING: 'off' },
      });
    restarted = await readTrail(trail);
    await receiver.close();
  }, 120_000);

  const ofBreaker = (name: string) =>
    records
      .filter((record) => record['risk.circuit_breaker.name'] === name)
      .map((record) =>
        record.event === 'risk.circuit_breaker.state_change'
          ? `${record['risk.circuit_breaker.state.old']} → ${record['risk.circuit_breaker.state.new']} (${record['risk.circuit_breaker.state.code']})`
          : `${record.event?.replace('risk.circuit_breaker.', '')} ${record['risk.reason.code'] ?? record['error.message'] ?? ''}`.trim(),
      );

  describe('breakers of other libraries', () => {
    it('of opossum are told as the catalogue’s breaker events', () => {
      expect(result.code).toBe(0);
      expect(ofBreaker('broker')).toEqual([
        'failure venue down',
        'CLOSED → OPEN (1)',
        'not_permitted CIRCUIT_BREAKER_OPEN',
        'OPEN → HALF_OPEN (2)',
        'success',
        'HALF_OPEN → CLOSED (0)',
      ]);
    });

    it('of cockatiel are too', () => {
      expect(ofBreaker('cockatiel-1')).toEqual([
        'failure venue down',
        'failure venue down',
        'CLOSED → OPEN (1)',
        'not_permitted CIRCUIT_BREAKER_OPEN',
        'OPEN → HALF_OPEN (2)',
        'success',
        'HALF_OPEN → CLOSED (0)',
        'CLOSED → FORCED_OPEN (4)',
        'not_permitted CIRCUIT_BREAKER_FORCED_OPEN',
      ]);
    });

    it.runIf(kind === 'mjs')('leave no state that a restart of the service trips over', () => {
      expect(again.code).toBe(0);
      const findings = restarted.filter(
        ({ event }) => event === 'audit.finding' || event === 'risk.trading_state_change',
      );
      expect(findings.map(({ body }) => body)).toEqual([]);
    });
  });

  describe('lines of the program’s loggers', () => {
    it('become telemetry with their level, once each, and masked', () => {
      expect(sent.map(({ body, severity, attributes }) => [attributes['log.logger'], severity, body])).toEqual([
        ['engine', 'DEBUG', 'a detail'],
        ['engine', 'ERROR', 'engine failed'],
        ['desk', 'DEBUG', 'a word of the desk'],
        ['desk', 'FATAL', 'desk failed'],
        ['console', 'ERROR', 'plain text'],
      ]);
      const [detail, failure, word, end] = sent;
      expect(detail?.attributes).toMatchObject({ desk: 'd1', n: 1 });
      expect(failure?.attributes).toMatchObject({ 'exception.message': 'engine failed' });
      expect(word?.attributes).toMatchObject({ floor: 3, n: 2 });
      expect(end?.attributes).toMatchObject({ 'exception.type': 'Error', 'exception.message': 'desk failed' });
      expect(new Set(sent.map(({ traceId }) => traceId))).toEqual(new Set(['0af7651916cd43dd8448eb211c80319c']));
      expect(bytes).not.toContain('sk_live_thisisasecretkey1234');
    });

    it('are written where they were before', () => {
      expect(result.err).toContain('halted by the operator');
      expect(result.out).toContain('route lost');
      expect(result.err).toContain('plain text');
      expect(result.err).toContain('a word of the desk');
      expect(result.out).toContain('printed: flat by the desk');
    });

    it('become audit events where a rule says so', () => {
      const promoted = records.filter(({ event }) => event === 'strategy.exit_signal' || event === 'system.error');
      expect(promoted.map(({ event, severity, metadata }) => [event, severity, metadata])).toEqual([
        ['strategy.exit_signal', 'INFO', { message: 'halted by the operator', logger: 'engine', desk: 'd1' }],
        ['system.error', 'WARN', { message: 'route lost', logger: 'router', hop: 2 }],
        ['strategy.exit_signal', 'INFO', { message: 'flat by the desk', logger: 'desk', floor: 3 }],
      ]);
      expect(promoted[1]?.['trading.symbol']).toBe('BTC/USD');
    });
  });
});
