import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { FlatRecord } from '../../../src/analysis/flat-record.ts';
import { allBytes } from '../../support/all-bytes.ts';
import { runBot } from '../../support/bots/run-bot.ts';
import { startReceiver } from '../../support/otlp-receiver.ts';
import { folderWith, isMissing, MAJORS, type Majors, NOT_INSTALLED } from '../../support/previous-majors.ts';
import { readTrail, temporaryDirectory } from '../../support/trail.ts';
import { ALPACA } from '../../support/venues/alpaca.ts';
import { BINANCE } from '../../support/venues/binance.ts';
import { BYBIT } from '../../support/venues/bybit.ts';
import { startVenue, type VenueOutcome, type VenueRequest } from '../../support/venues/venue-server.ts';

const BOTS = join(import.meta.dirname, '../../support/bots');
const VENUES = { alpaca: ALPACA, binance: BINANCE, bybit: BYBIT } as const;
const OUTCOMES: readonly VenueOutcome[] = [
  ...(['success', 'filled', 'insufficient', '429', '500', 'slow', 'reset', 'timeout'] as const),
];

const LIBRARIES = { alpaca: '@alpacahq/alpaca-trade-api', binance: 'binance', bybit: 'bybit-api' } as const;

/** Outcome of each order in turn, the kind and code of its error, and fills; then what an edit and cancels say. */
const EXPECTED = {
  alpaca: (majors: Majors) => [
    'order.placed al-1',
    'order.placed al-2',
    'order.filled al-2 5 at 189.5',
    `order.rejected ${majors === 'current' ? 'PermissionError' : 'Error'} 40310000`,
    majors === 'current' ? 'order.rejected RateLimitError' : 'order.rejected Error 429',
    `order.outcome_unknown ${majors === 'current' ? 'ApiError' : 'Error'} 50010000`,
    'order.placed al-6',
    majors === 'current' ? 'order.outcome_unknown FetchError' : 'order.outcome_unknown Error ECONNRESET',
    ...(majors === 'current' ? ['order.outcome_unknown FetchError'] : []),
    'order.edited al-1 4 at 191',
    'order.cancelled al-1',
    'order.cancelled all',
    // 3 has no time-out: it waits for as long as the connection stands.
    ...(majors === 'current' ? [] : ['order.outcome_unknown Error ECONNRESET']),
  ],
  binance: () => [
    'order.placed 28',
    'order.placed 29',
    'order.filled 29 0.50000 at 61000',
    'order.rejected ApiError -2010',
    'order.rejected ApiError -1003',
    'order.outcome_unknown ApiError -1000',
    'order.placed 33',
    'order.outcome_unknown Error ECONNRESET',
    'order.outcome_unknown AxiosError ECONNABORTED',
    // A replacement is an order of its own.
    'order.placed 90',
    'order.edited 28 0.3 at 61500',
    'order.cancelled 28',
    'order.cancelled all BTCUSDT',
  ],
  bybit: () => [
    'order.placed by-1',
    'order.placed by-2',
    'order.rejected ApiError 170131',
    'order.rejected ApiError 10006',
    'order.outcome_unknown ApiError 500',
    'order.placed by-6',
    'order.outcome_unknown Error ECONNRESET',
    'order.outcome_unknown AxiosError ECONNABORTED',
    'order.edited by-1 0.4',
    'order.cancelled by-1',
    'order.cancelled all BTCUSDT',
  ],
} as const;

function told(record: FlatRecord): string {
  const { event } = record;
  const failed = event === 'order.rejected' || event === 'order.outcome_unknown';
  const { 'trading.order.id': id, 'trading.quantity': quantity, 'trading.price': price } = record;
  const rest = failed ? [record['error.type'], record['error.code']] : [id];
  if (event === 'order.cancelled' && id === undefined) rest.push('all', record['trading.symbol']);
  if (event === 'order.filled' || event === 'order.edited') {
    rest.push(quantity);
    if (price !== undefined) rest.push('at', price);
  }
  return [event, ...rest].filter((part) => part !== undefined).join(' ');
}

function secretsOf(requests: readonly VenueRequest[]): string[] {
  const secrets = new Set(['KEYOFTHEBOTKEYOFTHEBOT', 'secret-of-the-bot-secret-of-the-bot']);
  for (const { headers, query } of requests) {
    for (const [name, value] of Object.entries(headers)) {
      if (/sign$|key|secret/i.test(name) && typeof value === 'string' && value.length > 8) secrets.add(value);
    }
    const signature = query.get('signature');
    if (signature !== null) secrets.add(signature);
  }
  return [...secrets];
}

const CASES = (Object.keys(VENUES) as (keyof typeof VENUES)[]).flatMap((name) =>
  MAJORS.flatMap((majors) =>
    (majors === 'current' ? ['mjs', 'cjs'] : ['cjs']).map((kind) => [name, majors, kind] as const),
  ),
);

describe('orders by the venues’ own clients', () => {
  it.for(CASES)(
    '%s, the %s version (%s): intent before the send, outcomes by kind, edits, cancels, and no secret leaves',
    { timeout: 120_000 },
    async ([name, majors, kind], { skip }) => {
      skip(isMissing(majors), NOT_INSTALLED);
      const venue = await startVenue(VENUES[name], OUTCOMES);
      onTestFinished(() => venue.close());
      const receiver = await startReceiver();
      onTestFinished(() => receiver.close());
      const dataDir = temporaryDirectory();
      let lines = 0;

      const files = [`clients.${kind}`, 'clients-steps.cjs'].map((file) => join(BOTS, file));
      const folder = folderWith(majors, files, [LIBRARIES[name]]);
      const { code, out, err } = await runBot(
        join(folder, `clients.${kind}`),
        [name, venue.url, String(OUTCOMES.length)],
        {
          dataDir,
          onOutput(text) {
            lines += text.split('\n').length - 1;
            if (name === 'alpaca' && lines === OUTCOMES.length + 3) void venue.close();
          },
          env: {
            OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
            OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
            OTEL_METRICS_EXPORTER: 'none',
          },
        },
      );

      expect({ code, err }).toEqual({ code: 0, err: '' });
      const records = await readTrail(dataDir);
      const orders = records.filter(({ event }) => event?.startsWith('order.'));
      const intents = orders.filter(({ event }) => event === 'order.intent');
      expect(intents).toHaveLength(OUTCOMES.length + (name === 'binance' ? 1 : 0));
      expect(orders.filter((one) => one.event !== 'order.intent').map(told)).toEqual(EXPECTED[name](majors));
      for (const intent of intents) {
        expect(intent).toMatchObject({ 'trading.side': 'buy', 'trading.venue': name, 'trading.order.type': 'limit' });
        const [outcome, ...others] = orders.filter((one) => one['risk.cause.record_id'] === intent.record_id);
        expect(others).toEqual([]);
        expect(outcome?.sequence).toBeGreaterThan(intent.sequence!);
        expect(outcome?.trace_id).toBe(intent.trace_id);
        expect(outcome?.['timing.duration_ms']).toBeGreaterThan(0);
      }
      const secrets = secretsOf(venue.requests);
      const received = receiver.requests.map(({ body }) => body.toString('latin1')).join('\n');
      // Calls are telemetry: they are exported, and no part of the trail.
      expect(received.match(/"eventName":"api\.call"/g)?.length).toBeGreaterThanOrEqual(OUTCOMES.length + 1);
      const left = `${allBytes(dataDir)}\n${received}\n${out}`;
      expect(secrets.filter((secret) => left.includes(secret) || left.includes(encodeURIComponent(secret)))).toEqual(
        [],
      );
    },
  );
});
