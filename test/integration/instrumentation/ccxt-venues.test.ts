import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { FlatRecord } from '../../../src/analysis/flat-record.ts';
import { allBytes } from '../../support/all-bytes.ts';
import { runBot } from '../../support/bots/run-bot.ts';
import { startReceiver } from '../../support/otlp-receiver.ts';
import { folderWith, isMissing, type Majors, NOT_INSTALLED } from '../../support/previous-majors.ts';
import { readTrail, temporaryDirectory } from '../../support/trail.ts';
import { BINANCE } from '../../support/venues/binance.ts';
import { executionReport, startBinanceSocket } from '../../support/venues/binance-socket.ts';
import { BYBIT } from '../../support/venues/bybit.ts';
import { COINBASE } from '../../support/venues/coinbase.ts';
import { KRAKEN } from '../../support/venues/kraken.ts';
import { startVenue, type VenueOutcome, type VenueRequest } from '../../support/venues/venue-server.ts';

const VENUES = { kraken: KRAKEN, binance: BINANCE, bybit: BYBIT, coinbase: COINBASE } as const;
const OUTCOMES: readonly VenueOutcome[] = [
  'success',
  'filled',
  'insufficient',
  '429',
  '500',
  'slow',
  'reset',
  'timeout',
];
const BOTS = join(import.meta.dirname, '../../support/bots');

/** What differs from run to run, and is looked at by itself. */
const VARYING = new Set([
  ...['correlation.id', 'risk.cause.record_id', 'timing.duration_ms', 'api.throttle_wait_ms', 'api.attempts_ms'],
  ...[
    'api.http_ms',
    'audit.record.id',
    'audit.stream',
    'audit.sequence.number',
    'audit.integrity.value',
    'error.message',
  ],
]);

function golden(records: readonly FlatRecord[]): string {
  const rows = records
    .filter(({ event }) => /^(order|api)\./.test(event ?? ''))
    .map((record) => ({
      event: record.event,
      severity: record.severity,
      ...Object.fromEntries(
        Object.entries(record)
          .filter(([name]) => (name.includes('.') || name === 'operation') && !VARYING.has(name))
          .sort(([a], [b]) => (a < b ? -1 : 1)),
      ),
    }));
  // ccxt makes client ids of its own for Coinbase, whatever the program asked for.
  return `${JSON.stringify(rows, null, 2)
    .replace(/\[\s+("[^[\]]*")\s+\]/g, (_, inner: string) => `[${inner.replace(/\s+/g, ' ')}]`)
    .replace(/(ccxt-)?[0-9a-f]{8}-[0-9a-f-]{27}/g, '$1UUID')}\n`;
}

/** Keys and signatures, as the venue got them. */
function secretsOf(requests: readonly VenueRequest[]): string[] {
  const secrets = new Set([
    'KEYOFTHEBOTKEYOFTHEBOT',
    'secret of the bot',
    Buffer.from('secret of the bot, secret of the bot').toString('base64'),
  ]);
  for (const { headers, query, body } of requests) {
    for (const [name, value] of Object.entries(headers)) {
      if (/sign|key|passphrase|authorization/i.test(name) && typeof value === 'string' && value.length > 8)
        secrets.add(value);
    }
    for (const one of [query, new URLSearchParams(body)]) {
      const signature = one.get('signature');
      if (signature !== null) secrets.add(signature);
    }
  }
  return [...secrets];
}

/** Every venue, and for two of them both of ccxt's copies. */
const CASES: readonly [keyof typeof VENUES, Majors, 'mjs' | 'cjs'][] = [
  ['kraken', 'current', 'mjs'],
  ['kraken', 'current', 'cjs'],
  ['binance', 'current', 'mjs'],
  ['binance', 'current', 'cjs'],
  ['bybit', 'current', 'mjs'],
  ['coinbase', 'current', 'cjs'],
  ['kraken', 'previous', 'mjs'],
  ['binance', 'previous', 'cjs'],
  ['bybit', 'previous', 'mjs'],
  ['coinbase', 'previous', 'cjs'],
];

describe('orders by ccxt', () => {
  it.for(CASES)(
    'at %s are recorded once each, with their outcomes, and no secret leaves (%s version, %s)',
    { timeout: 120_000 },
    async ([name, majors, kind], { skip }) => {
      skip(isMissing(majors), NOT_INSTALLED);
      const venue = await startVenue(VENUES[name], OUTCOMES);
      onTestFinished(() => venue.close());
      const receiver = await startReceiver();
      onTestFinished(() => receiver.close());
      const dataDir = temporaryDirectory();

      const folder = folderWith(majors, [join(BOTS, `bot.${kind}`), join(BOTS, 'steps.cjs')], ['ccxt']);
      const args = [name, venue.url, String(OUTCOMES.length), 'changes'];
      const { code, out, err } = await runBot(join(folder, `bot.${kind}`), args, {
        dataDir,
        env: {
          OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
          OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
          OTEL_METRICS_EXPORTER: 'none',
        },
      });

      expect({ code, err }).toEqual({ code: 0, err: '' });
      const records = await readTrail(dataDir);
      await expect(golden(records)).toMatchFileSnapshot(
        `goldens/${name}${majors === 'current' ? '' : '-previous'}.json`,
      );
      const intents = records.filter(({ event }) => event === 'order.intent');
      expect(intents).toHaveLength(OUTCOMES.length);
      for (const intent of intents) {
        const outcomes = records.filter((record) => record['risk.cause.record_id'] === intent.record_id);
        expect(outcomes.map(({ event }) => event)).toEqual([
          expect.stringMatching(/^order\.(placed|rejected|outcome_unknown)$/),
        ]);
        const [outcome] = outcomes as [FlatRecord];
        expect(outcome.trace_id).toBe(intent.trace_id);
        for (const part of ['timing.duration_ms', 'api.throttle_wait_ms', 'api.attempts_ms', 'api.http_ms']) {
          expect(outcome[part]).toBeGreaterThanOrEqual(0);
        }
      }

      const secrets = secretsOf(venue.requests);
      expect(secrets.length).toBeGreaterThan(10);
      const received = receiver.requests.map(({ body }) => body.toString('latin1')).join('\n');
      expect(received).toContain('api.call');
      const left = `${allBytes(dataDir)}\n${received}`;
      expect(secrets.filter((secret) => left.includes(secret) || left.includes(encodeURIComponent(secret)))).toEqual(
        [],
      );
      expect(
        secrets.filter((secret) =>
          out
            .split('\n')
            .filter((line) => !/http/.test(line))
            .join('\n')
            .includes(secret),
        ),
      ).toEqual([]);
    },
  );
});

describe('fills that come over a socket', () => {
  it.for<[Majors, 'mjs' | 'cjs']>([
    ['current', 'mjs'],
    ['current', 'cjs'],
    ['previous', 'mjs'],
  ])(
    'are recorded once each, by whichever stream told first (%s version, %s)',
    { timeout: 120_000 },
    async ([majors, kind], { skip }) => {
      skip(isMissing(majors), NOT_INSTALLED);
      const venue = await startVenue(BINANCE, ['success']);
      onTestFinished(() => venue.close());
      const socket = await startBinanceSocket([
        executionReport(1, '0.20000', '61000.00', '0.20000', '12200.00'),
        executionReport(2, '0.30000', '60990.00', '0.50000', '30497.00'),
      ]);
      onTestFinished(() => socket.close());
      const receiver = await startReceiver();
      onTestFinished(() => receiver.close());
      const dataDir = temporaryDirectory();
      const folder = folderWith(majors, [join(BOTS, `bot-pro.${kind}`), join(BOTS, 'steps.cjs')], ['ccxt']);
      const { code, out, err } = await runBot(join(folder, `bot-pro.${kind}`), [venue.url, socket.url], {
        dataDir,
        env: {
          OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
          OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
          OTEL_METRICS_EXPORTER: 'none',
        },
      });
      expect({ code, err, out }).toEqual({ code: 0, err: '', out: 'filled 28\n' });
      const orders = (await readTrail(dataDir)).filter(({ event }) => event?.startsWith('order.'));
      const told = orders.map((one) => [
        ...[one.event, one['trading.order.id'], one['trading.quantity'], one['trading.price']],
      ]);
      expect(told).toEqual([
        ['order.intent', undefined, 0.5, 61_000],
        ['order.placed', '28', 0.5, 61_000],
        ['order.filled', '28', 0.2, 61_000],
        ['order.filled', '28', 0.3, 60_990],
      ]);
      // The socket's own requests are signed too, and the key of a stream opens it.
      const signatures = socket.received.flatMap((text) => /"signature":"([^"]+)"/.exec(text)?.slice(1) ?? []);
      expect(signatures).toHaveLength(majors === 'current' ? 1 : 0);
      const received = receiver.requests.map(({ body }) => body.toString('latin1')).join('\n');
      const left = `${allBytes(dataDir)}\n${received}`;
      const secrets = [...secretsOf(venue.requests), ...signatures, 'listenkeyofthebot0123456789'];
      expect(secrets.filter((secret) => left.includes(secret) || left.includes(encodeURIComponent(secret)))).toEqual(
        [],
      );
    },
  );
});

describe('a service that is killed between send and answer', () => {
  it('leaves an intent without an outcome', async () => {
    const venue = await startVenue(KRAKEN, ['success', 'timeout']);
    onTestFinished(() => venue.close());
    const dataDir = temporaryDirectory();
    let placed = '';
    const { signal } = await runBot(join(BOTS, 'bot.mjs'), ['kraken', venue.url, '2'], {
      dataDir,
      onOutput(text, kill) {
        placed += text;
        if (!placed.includes('placed')) return;
        // The second order is under way once the venue has it.
        const timer = setInterval(() => {
          if (venue.executed() < 2) return;
          clearInterval(timer);
          kill('SIGKILL');
        }, 5);
      },
    });
    expect(signal).toBe('SIGKILL');
    const records = await readTrail(dataDir);
    const orders = records.filter(({ event }) => event?.startsWith('order.'));
    expect(orders.map(({ event }) => event)).toEqual(['order.intent', 'order.placed', 'order.intent']);
  });
});
