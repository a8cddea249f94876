import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { isWithin } from '../../../src/instrumentation/official.ts';
import { allBytes } from '../../support/all-bytes.ts';
import { type BotResult, runBot } from '../../support/bots/run-bot.ts';
import { type Receiver, startReceiver } from '../../support/otlp-receiver.ts';
import { folderWith, isMissing, type Majors, NOT_INSTALLED } from '../../support/previous-majors.ts';
import { startKafkaBroker, startPostgres, startRedis } from '../../support/protocol-stubs.ts';
import { readTrail, temporaryDirectory } from '../../support/trail.ts';
import { BINANCE } from '../../support/venues/binance.ts';
import { startVenue } from '../../support/venues/venue-server.ts';

const BOTS = join(import.meta.dirname, '../../support/bots');
const OFFICIAL = ['http', 'undici', 'pg', 'ioredis', 'kafkajs'].map((name) => `@opentelemetry/instrumentation-${name}`);
const LIBRARIES = ['binance', 'undici', 'pg', 'ioredis', 'kafkajs'];

interface OtlpSpan {
  readonly scope: string;
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

function spansOf(receiver: Receiver): OtlpSpan[] {
  interface Payload {
    readonly resourceSpans: readonly {
      readonly scopeSpans: readonly {
        readonly scope: { readonly name: string };
        readonly spans: readonly (Omit<OtlpSpan, 'attributes'> & {
          readonly attributes: readonly { readonly key: string; readonly value: Record<string, unknown> }[];
        })[];
      }[];
    }[];
  }
  return receiver.requests
    .filter(({ path }) => path === '/v1/traces')
    .flatMap(({ body }) => (JSON.parse(body.toString('utf8')) as Payload).resourceSpans)
    .flatMap(({ scopeSpans }) => scopeSpans)
    .flatMap(({ scope, spans }) =>
      spans.map((span) => ({
        ...span,
        scope: scope.name,
        attributes: Object.fromEntries(span.attributes.map(({ key, value }) => [key, Object.values(value)[0]])),
      })),
    );
}

/** kafkajs sets a timer back in time, by itself. */
const DONE = {
  code: 0,
  err: expect.stringMatching(/^(\(.*TimeoutNegativeWarning[\s\S]*created\)\n)?$/),
  out: 'done\n',
};

/** Runs the gateway and its servers. @param installed instrumentations that it finds */
async function runGateway(
  majors: Majors,
  kind: string,
  installed: readonly string[],
  env: Record<string, string> = {},
) {
  const [venue, postgres, redis, kafka, receiver] = await Promise.all([
    startVenue(BINANCE, ['success']),
    startPostgres(),
    startRedis(),
    startKafkaBroker('fills'),
    startReceiver(),
  ]);
  for (const one of [venue, postgres, redis, kafka, receiver]) onTestFinished(() => one.close());
  const dataDir = temporaryDirectory();
  const files = [`official.${kind}`, 'official-steps.cjs'].map((file) => join(BOTS, file));
  const folder = folderWith(majors, files, LIBRARIES, installed);
  const args = [venue.url, ...[postgres, redis, kafka].map(({ port }) => String(port))];
  const result: BotResult = await runBot(join(folder, `official.${kind}`), args, {
    ...{ dataDir, cwd: folder },
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_METRICS_EXPORTER: 'none',
      ...env,
    },
  });
  return { venue, kafka, receiver, dataDir, result, spans: spansOf(receiver) };
}

/** What ioredis says at the beginning, as its version has it. */
const HANDSHAKE = /^ioredis (?:auth|hello|client) /;

function brief({ scope, name, attributes }: OtlpSpan): string {
  const { 'url.full': address, 'db.query.text': statement } = attributes;
  const about = address === undefined ? statement : String(address).replace(/^http:\/\/[^/]+/, '');
  return [scope.slice('@opentelemetry/instrumentation-'.length), name, about]
    .filter((one) => one !== undefined)
    .join(' ');
}

const CASES: readonly [Majors, 'mjs' | 'cjs'][] = [
  ['current', 'mjs'],
  ['current', 'cjs'],
  ['previous', 'mjs'],
];

describe('OpenTelemetry’s own instrumentations, where the program has them', () => {
  it.for(CASES)(
    'tell of clients within the trace of the order, and no secret leaves (%s versions, %s)',
    { timeout: 120_000 },
    async ([majors, kind], { skip }) => {
      skip(isMissing(majors), NOT_INSTALLED);
      const { venue, kafka, receiver, dataDir, result, spans } = await runGateway(majors, kind, OFFICIAL);
      expect(result).toMatchObject(DONE);
      const orders = (await readTrail(dataDir)).filter(({ event }) => event?.startsWith('order.'));
      expect(orders.map(({ event }) => event)).toEqual(['order.intent', 'order.placed']);
      const theirs = spans.filter(({ scope }) => OFFICIAL.includes(scope));
      expect(
        theirs
          .map(brief)
          .filter((one) => !HANDSHAKE.test(one))
          .sort(),
      ).toEqual([
        'http GET /by-http?timestamp=1&recvWindow=5000&signature=***MASKED***',
        expect.stringMatching(/^http POST \/api\/v3\/order(\?.*&signature=\*\*\*MASKED\*\*\*)?$/),
        'ioredis connect connect',
        'ioredis set set session [1 other arguments]',
        'kafkajs send fills',
        'pg pg.connect',
        "pg pg.query:UPDATE fills UPDATE venues SET api_key='***MASKED***' WHERE id = 7",
        'undici GET /by-fetch?timestamp=1&recvWindow=5000&signature=***MASKED***',
        'undici GET /by-undici?timestamp=1&recvWindow=5000&signature=***MASKED***',
      ]);
      expect(new Set(theirs.map(({ traceId }) => traceId))).toEqual(new Set([orders[0]?.trace_id]));

      // Venues and databases are told nothing of our traces; the program's own broker is.
      expect(venue.requests.filter(({ headers }) => 'traceparent' in headers)).toEqual([]);
      expect(kafka.received().toString('latin1')).toContain('traceparent');

      const secrets = [
        'KEYOFTHEBOTKEYOFTHEBOT',
        'secret-of-the-bot-secret-of-the-bot',
        'c0ffee00c0ffee00c0ffee00c0ffee00',
      ];
      secrets.push('sk_live_thisisasecretkey1234');
      const signed = venue.requests.map(({ query }) => query.get('signature')).filter((one) => one !== null);
      expect(signed).toHaveLength(4);
      const received = receiver.requests.map(({ body }) => body.toString('latin1')).join('\n');
      const left = `${allBytes(dataDir)}\n${received}\n${result.out}`;
      expect([...secrets, ...signed].filter((secret) => left.includes(secret))).toEqual([]);
    },
  );

  it('stay out where the program does not have them, or the settings name others', { timeout: 120_000 }, async () => {
    const none = await runGateway('current', 'cjs', []);
    expect(none.result).toMatchObject(DONE);
    expect(none.spans.filter(({ scope }) => OFFICIAL.includes(scope))).toEqual([]);
    const named = await runGateway('current', 'cjs', OFFICIAL, { RISKTRAIL_INSTRUMENTATIONS: 'http,binance,pg' });
    expect(named.result).toMatchObject(DONE);
    const scopes = new Set(named.spans.map(({ scope }) => scope).filter((scope) => OFFICIAL.includes(scope)));
    expect([...scopes].sort()).toEqual(['@opentelemetry/instrumentation-http', '@opentelemetry/instrumentation-pg']);
  });

  it('are loaded with their libraries, and no sooner', async () => {
    const folder = folderWith('current', [], ['pg'], OFFICIAL);
    const loaded = `Object.keys(require.cache).map((path) => /instrumentation-([a-z]+)/.exec(path)?.[1]).filter(Boolean)`;
    const print = `console.log([...new Set(${loaded})].join());`;
    writeFileSync(join(folder, 'app.cjs'), `${print} require('pg'); ${print}`);
    const result = await runBot(join(folder, 'app.cjs'), [], { dataDir: temporaryDirectory(), cwd: folder });
    expect(result).toMatchObject({ code: 0, err: '', out: '\npg\n' });
  });

  it.each([
    ['8.23.1', '>=8.0.3 <9', true],
    ['8.0.2', '>=8.0.3 <9', false],
    ['9.0.0-beta.1', '>=8.0.3 <9', false],
    ['2.2.4', '>=0.3.0 <3', true],
    ['6.0.0', '^6', true],
    ['6.0.0', '*', true],
    ['6.0.0', 'latest', false],
  ])('%s is within %s: %s', (version, range, within) => expect(isWithin(version, range)).toBe(within));
});
