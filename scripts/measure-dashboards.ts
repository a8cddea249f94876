/**
 * How long every query of the dashboards takes over a week of 100,000 events a day, in a real Loki with `grafana/loki.yaml`.
 *
 *     node scripts/measure-dashboards.ts [--days 6.9] [--per-day 100000] [--dir DIRECTORY]
 *
 * It makes the events (20 strategies, 500 symbols), sends them to Loki as the Collector does, starts Loki again so that
 * nothing is in memory, and prints the number of streams and each query's time over the whole span, the slowest last, and
 * beside it the processor time that Loki took: on a busy machine that tells more. A panel with a range of its own is asked for
 * that. With `--dir` what was made is kept there, and measured again the next time.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { familyLabels } from '../src/catalog/families.ts';
import { createSystemClock } from '../src/core/clock.ts';
import { filledIn, readDashboards } from '../test/support/dashboards.ts';
import { type Loki, startLoki } from '../test/support/stack-loki.ts';

const { values } = parseArgs({
  options: {
    // Loki refuses what is older than a week.
    days: { type: 'string', default: '6.9' },
    'per-day': { type: 'string', default: '100000' },
    dir: { type: 'string' },
  },
});
const DAY_MS = 86_400_000;
const days = Number(values.days);
const perDay = Number(values['per-day']);
const BATCH = 5000;
const STRATEGIES = 20;
const SYMBOLS = 500;
const LIMITS = ['portfolio_delta', 'position_percent', 'total_exposure_percent', 'leverage', 'daily_loss', 'drawdown'];
const HEX = (index: number, length: number): string => index.toString(16).padStart(length, '0');

type Attributes = Record<string, string | number>;

/** One event of a busy service; what there is of each kind is about what a day of trading has. */
function eventOf(index: number): { name: string; severity: number; attributes: Attributes; body: string } {
  const kind = index % 1000;
  const symbol = `SYM${(index * 7) % SYMBOLS}`;
  const strategy = `strategy-${index % STRATEGIES}`;
  const context: Attributes = {
    'trading.symbol': symbol,
    'trading.strategy.id': strategy,
    'trading.account.id': 'ACC-1',
    'trading.execution.id': `${strategy}-${symbol}`,
  };
  const price = 100 + (index % 977) / 10;
  const order: Attributes = {
    ...context,
    'trading.side': index % 2 === 0 ? 'buy' : 'sell',
    'trading.quantity': 100,
    'trading.price': price,
    'trading.order.id': `O${index}`,
    'trading.order.role': 'entry',
  };
  const event = (name: string, attributes: Attributes, severity = 9) => {
    return { name, severity, attributes, body: `${name} ${symbol} ${price}` };
  };
  if (kind < 500) return event('market.price', { ...context, 'trading.price': price });
  if (kind < 620) {
    return event('api.call', {
      operation: 'place_order',
      'trading.venue': `venue-${index % 3}`,
      'timing.duration_ms': 5 + (index % 211),
    });
  }
  if (kind < 740) {
    const used = LIMITS.map((_, at) => ((index + at * 131) % 900) / 1000);
    return event('risk.portfolio_limit.check', {
      ...order,
      'risk.decision': 'allow',
      'risk.reason.code': 'OK',
      'risk.limit.type': LIMITS[index % LIMITS.length]!,
      'risk.limit.utilization': used[0]!,
      'risk.limits.type': JSON.stringify(LIMITS),
      'risk.limits.utilization': JSON.stringify(used),
      'risk.limits.projected': JSON.stringify(used),
      'risk.limits.max': JSON.stringify(used.map(() => 1)),
    });
  }
  if (kind < 800) return event('order.intent', order);
  if (kind < 858) return event('order.placed', order);
  if (kind < 860) return event('order.rejected', { ...order, 'error.type': 'Rejected' }, 13);
  if (kind < 915) return event('order.filled', order);
  if (kind < 985) {
    return event('risk.trailing_stop.update', {
      ...context,
      'risk.trailing_stop.id': `${strategy}-${symbol}`,
      'risk.trailing_stop.stop_price': price * 0.97,
      'risk.trailing_stop.peak_price': price * 1.01,
      'risk.trailing_stop.current_price': price,
    });
  }
  if (kind < 987) {
    return event(
      'risk.trailing_stop.trigger',
      {
        ...context,
        'risk.trailing_stop.id': `${strategy}-${symbol}`,
        'risk.trailing_stop.stop_price': price,
        'risk.trailing_stop.current_price': price * 0.99,
        'risk.trailing_stop.gap': price * 0.01,
      },
      13,
    );
  }
  if (kind < 992) {
    return event('risk.circuit_breaker.snapshot', {
      'risk.circuit_breaker.name': `broker-${index % 4}`,
      'risk.circuit_breaker.state.new': 'CLOSED',
      'risk.circuit_breaker.state.code': 0,
      'risk.circuit_breaker.failure_count': index % 5,
      'risk.circuit_breaker.failure_threshold': 5,
    });
  }
  if (kind < 993) {
    const code = Math.floor(index / 1000) % 3;
    return event(
      'risk.circuit_breaker.state_change',
      {
        'risk.circuit_breaker.name': `broker-${Math.floor(index / 1000) % 4}`,
        'risk.circuit_breaker.state.old': 'CLOSED',
        'risk.circuit_breaker.state.new': ['CLOSED', 'OPEN', 'HALF_OPEN'][code]!,
        'risk.circuit_breaker.state.code': code,
        'risk.circuit_breaker.trigger': 'failure_count',
      },
      13,
    );
  }
  if (kind < 994) {
    return event('risk.portfolio_limit.rejection', {
      ...order,
      'risk.limit.type': LIMITS[Math.floor(index / 1000) % LIMITS.length]!,
      'risk.reason.code': 'LIMIT_EXCEEDED',
      'risk.limit.utilization': 1.1,
    });
  }
  return event('audit.health', {
    'audit.health.backlog_records': index % 50,
    'audit.health.backlog_bytes': index % 50000,
    'audit.health.backlog_seconds': index % 3,
    'audit.health.checkpoint_age_ms': index % 60_000,
    'audit.health.disk_free_bytes': 5e10,
    'audit.health.journal_mode': 'direct',
  });
}

function recordOf(index: number, timeMs: number): object {
  const { name, severity, attributes, body } = eventOf(index);
  const own: Attributes = {
    ...attributes,
    event_name: name,
    ...familyLabels(name, severity),
    'audit.record.id': `0199c0de-0000-7000-8000-${HEX(index, 12)}`,
    'audit.stream': 'busy/0199c0de-0000-7000-8000-000000000000',
    'audit.sequence.number': index,
    'audit.integrity.value': 'AOC5vhnoFdJZRCeqtzObRH1VPsrvM7cav/0uRqf3lEE=',
    'correlation.id': `0199c0de-${HEX(index >> 4, 12)}`,
  };
  return {
    timeUnixNano: `${BigInt(Math.floor(timeMs * 1000)) * 1000n}`,
    severityNumber: severity,
    severityText: severity < 13 ? 'INFO' : 'WARN',
    eventName: name,
    body: { stringValue: body },
    traceId: HEX(index >> 4, 32),
    attributes: Object.entries(own).map(([key, value]) => ({
      key,
      value: typeof value === 'string' ? { stringValue: value } : { doubleValue: value },
    })),
  };
}

async function fill(endpoint: string, endMs: number): Promise<void> {
  const total = days * perDay;
  const stepMs = (days * DAY_MS) / total;
  const startMs = endMs - days * DAY_MS;
  const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'busy' } }] };
  for (let from = 0; from < total; from += BATCH) {
    const logRecords = Array.from({ length: Math.min(BATCH, total - from) }, (_, at) =>
      recordOf(from + at, startMs + (from + at + 1) * stepMs),
    );
    const answer = await fetch(`${endpoint}/otlp/v1/logs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }] }),
    });
    if (!answer.ok) throw new Error(`Loki answered ${answer.status}: ${(await answer.text()).slice(0, 300)}`);
  }
}

const clock = createSystemClock();
/** Nobody waits for a panel longer. */
const TARGET_MS = 2000;
/** What Grafana asks for a week on a screen of usual width. */
const STEP_SECONDS = 600;

/** Panels that show what somebody chose: of thousands of lines, which Loki refuses, or by an id. */
const NARROWED: ReadonlyMap<string, Readonly<Record<string, string>>> = new Map([
  ['Where do price, peak and stop stand?', { symbol: 'SYM7' }],
  ['What happened, step by step?', { id: `0199c0de-${HEX(1234, 12)}` }],
]);

interface Measured {
  readonly panel: string;
  readonly ms: number;
  readonly cpuMs: number;
  readonly series: number;
}

const nanos = (ms: number) => `${BigInt(Math.floor(ms)) * 1_000_000n}`;

/** Panels of today and of the last 24 hours never ask for more. */
const rangeOf = (timeFrom: string | undefined) =>
  Math.floor((timeFrom === undefined ? days : Math.min(days, 1)) * 86_400);

async function measure({ endpoint, usage }: Loki, endMs: number): Promise<readonly Measured[]> {
  const measured: Measured[] = [];
  for (const { file, panels } of readDashboards()) {
    for (const { title, timeFrom, targets = [] } of panels) {
      const rangeSeconds = rangeOf(timeFrom);
      for (const { datasource, expr = '', queryType, refId } of targets) {
        if (datasource.uid !== 'loki') continue;
        const query = filledIn(expr, rangeSeconds, STEP_SECONDS, NARROWED.get(title));
        const instant = queryType === 'instant';
        const parameters = instant
          ? { query, time: nanos(endMs) }
          : {
              query,
              start: nanos(endMs - rangeSeconds * 1000),
              end: nanos(endMs),
              step: `${STEP_SECONDS}`,
              limit: '500',
            };
        const startCpuMs = usage().cpuMs;
        const startMs = clock.monotonic();
        const path = instant ? 'query' : 'query_range';
        const answer = await fetch(`${endpoint}/loki/api/v1/${path}?${new URLSearchParams(parameters)}`);
        const text = await answer.text();
        const ms = Math.round(clock.monotonic() - startMs);
        if (!answer.ok) throw new Error(`${file}, ${title}: Loki answered ${answer.status}: ${text.slice(0, 300)}`);
        const series = (JSON.parse(text) as { data: { result: readonly unknown[] } }).data.result.length;
        const panel = `${file.replace('.json', '')}: ${title} ${refId}`;
        measured.push({ panel, ms, cpuMs: usage().cpuMs - startCpuMs, series });
      }
    }
  }
  return measured.sort((a, b) => a.ms - b.ms);
}

/** The events in Loki's files, and the time of the last: made now, or by an earlier run. */
async function filled(loki: Loki, directory: string): Promise<number> {
  const note = join(directory, 'filled.json');
  if (existsSync(note)) return (JSON.parse(readFileSync(note, 'utf8')) as { endMs: number }).endMs;
  const endMs = clock.now();
  await fill(loki.endpoint, endMs);
  // Asks its memory for the last hours alone: everything older has to be in files.
  await fetch(`${loki.endpoint}/ingester/shutdown?flush=true&terminate=false&delete_ring_tokens=false`, {
    method: 'POST',
  });
  await loki.stop();
  await loki.start();
  writeFileSync(note, JSON.stringify({ endMs }));
  return endMs;
}

async function main(): Promise<void> {
  const directory = values.dir === undefined ? mkdtempSync(join(tmpdir(), 'risktrail-week-')) : resolve(values.dir);
  mkdirSync(directory, { recursive: true });
  try {
    await using loki = await startLoki(directory);
    const endMs = await filled(loki, directory);
    const total = days * perDay;
    const query = `sum(count_over_time({service_name=~".+"} [${Math.ceil(days * 86_400)}s]))`;
    const counted = await fetch(
      `${loki.endpoint}/loki/api/v1/query?${new URLSearchParams({ query, time: nanos(Math.ceil(endMs)) })}`,
    );
    const { data: found } = (await counted.json()) as {
      data: { result: readonly { value: readonly [number, string] }[] };
    };
    const held = Number(found.result[0]?.value[1] ?? 0);
    if (held !== total) throw new Error(`Loki holds ${held} of ${total} events`);
    const parameters = new URLSearchParams({
      'match[]': '{service_name=~".+"}',
      start: `${Math.floor(endMs / 1000) - days * 86_400}`,
      end: `${Math.ceil(endMs / 1000)}`,
    });
    const answer = await fetch(`${loki.endpoint}/loki/api/v1/series?${parameters}`);
    const { data } = (await answer.json()) as { data: readonly unknown[] };
    console.log(`${total} events, ${data.length} streams`);
    const measured = await measure(loki, endMs);
    for (const { panel, ms, cpuMs, series } of measured) {
      const figures = `${String(ms).padStart(6)} ms ${String(cpuMs).padStart(6)} ms of processor`;
      console.log(`${figures} ${String(series).padStart(5)} series or lines  ${panel}`);
    }
    const quick = measured.filter(({ ms }) => ms <= TARGET_MS).length;
    console.log(`${quick} of ${measured.length} within ${TARGET_MS} ms`);
  } finally {
    if (values.dir === undefined) rmSync(directory, { recursive: true, force: true });
  }
}

await main();
