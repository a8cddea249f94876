/** `/health`, `/metrics` and `/v1/doctor`: for those who watch the server. */
import type { FastifyInstance } from 'fastify';
import { worstOf } from '../../analysis/doctor/check.ts';
import { checkMachine } from '../../analysis/doctor/machine.ts';
import type { StateView } from '../../analysis/state-view.ts';
import { isRiskTrailError } from '../../core/errors.ts';
import { VERSION } from '../../version.ts';
import { RequestCounts } from '../answers.ts';
import { addRoute } from '../define-route.ts';
import { ANSWERS } from '../schemas.ts';
import type { ServerContext } from '../server-context.ts';
import { callerOf } from '../server-guard.ts';
import { readStates } from './state-routes.ts';
import { statusOf } from './trust-routes.ts';

/** Prometheus' text format, version 0.0.4. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Adds the routes. @param keyFile key that signs, where it is not the data directory's own */
export function addOperationRoutes(app: FastifyInstance, context: ServerContext, keyFile: string | undefined): void {
  addRoute(app, {
    method: 'GET',
    url: '/health',
    operation: 'getHealth',
    tag: 'operations',
    summary: 'Whether the server lives, and how the trail stands.',
    description: 'Needs no token; what the trail looks like is told to those who may read it.',
    scope: 'none',
    answer: { description: 'It lives.', schema: ANSWERS.health },
    handle(request) {
      const integrity = context.integrity.known;
      const concerns = statusOf(context)?.concerns ?? [];
      const status = concerns.length > 0 || integrity.status === 'findings' ? 'degraded' : 'ok';
      const mayRead = callerOf(request)?.scopes.includes('read') === true;
      return { status, version: VERSION, ...(mayRead ? { integrity, concerns } : {}) };
    },
  });

  addRoute(app, {
    method: 'GET',
    url: '/metrics',
    operation: 'getMetrics',
    tag: 'operations',
    summary: 'Figures of the trail, the risk layers and the server, for Prometheus.',
    answer: { description: 'Prometheus’ text format.', type: 'text/plain' },
    async handle(_request, reply) {
      return reply.type(METRICS_TYPE).send(await metricsText(context));
    },
  });

  addRoute(app, {
    method: 'GET',
    url: '/v1/doctor',
    operation: 'getDoctor',
    tag: 'operations',
    summary: 'Whether this machine and the data directory are as they should be, and what to do where not.',
    description: 'No other host is asked: risktrail doctor asks the servers behind the trail.',
    answer: { description: 'The checks.', schema: ANSWERS.doctor },
    handle() {
      const dataDir = context.dataDir;
      const checks = checkMachine({ dataDir, keyFile, clock: context.clock });
      const hide = (text: string) =>
        context.hide(keyFile === undefined ? text : text.replaceAll(keyFile, 'the key file'));
      const hidden = checks.map(({ found, fix, ...check }) => ({
        ...check,
        found: hide(found),
        ...(fix === undefined ? {} : { fix: hide(fix) }),
      }));
      return { status: worstOf(checks), checks: hidden };
    },
  });
}

type Labels = Readonly<Record<string, string | number>>;

/** Gathers metrics, each with its help once. */
class MetricsText {
  readonly #lines: string[] = [];

  add(
    name: string,
    type: 'gauge' | 'counter' | 'histogram',
    help: string,
    samples: readonly (readonly [Labels, number | null | undefined, string?])[],
  ): void {
    const known = samples.filter(([, value]) => value !== null && value !== undefined && Number.isFinite(value));
    if (known.length === 0) return;
    this.#lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    for (const [labels, value, suffix = ''] of known) {
      const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(String(text))}"`);
      this.#lines.push(`${name}${suffix}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}`);
    }
  }

  toString(): string {
    return `${this.#lines.join('\n')}\n`;
  }
}

const escapeLabel = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
type StreamOf = NonNullable<ReturnType<typeof statusOf>>['streams'][number];

/** Closed streams are many after a year: what is told of each of them is summed up. */
const PER_STREAM = 50;

async function metricsText(context: ServerContext): Promise<string> {
  const text = new MetricsText();
  const { integrity } = context;
  text.add('risktrail_server_info', 'gauge', 'Version of the server.', [[{ version: VERSION }, 1]]);
  text.add(
    'risktrail_trail_integrity',
    'gauge',
    'Outcome of the newest verification: 1 for the one that holds.',
    (['verified', 'findings', 'unverified'] as const).map(
      (status) => [{ status }, Number(integrity.known.status === status)] as const,
    ),
  );
  addTrail(text, context);
  try {
    const version = await context.version();
    const views = JSON.parse(
      await context.answers.get(`metrics ${version}`, async () =>
        JSON.stringify(await readStates(context, undefined, undefined)),
      ),
    ) as StateView[];
    addRisk(text, views);
  } catch (error) {
    // A trail that is empty, or busy, has no state to tell: the figures are absent, not zero.
    if (!isRiskTrailError(error)) throw error;
  }
  text.add('risktrail_server_threads', 'gauge', 'Threads that answer long questions.', [
    [{ of: 'questions' }, context.threads.running],
    [{ of: 'workbooks' }, context.workbooks.running],
  ]);
  addRequests(text, context.counts);
  return text.toString();
}

function addTrail(text: MetricsText, context: ServerContext): void {
  const status = statusOf(context);
  if (status === undefined) return;
  const open = status.streams.filter((one) => one.status !== 'closed').slice(-PER_STREAM);
  const sum = (of: (one: StreamOf) => number) => status.streams.reduce((total, one) => total + of(one), 0);
  text.add(
    'risktrail_trail_streams',
    'gauge',
    'Streams by their state.',
    (['open', 'closed', 'damaged'] as const).map(
      (state) => [{ state }, status.streams.filter((one) => one.status === state).length] as const,
    ),
  );
  text.add('risktrail_trail_records', 'gauge', 'Records written, those that retention removed included.', [
    [{}, sum((one) => one.records)],
  ]);
  text.add('risktrail_trail_bytes', 'gauge', 'Bytes of all segments.', [[{}, sum((one) => one.segments.bytes)]]);
  text.add('risktrail_trail_rejected_records', 'gauge', 'Records that a receiver refused for good.', [
    [{}, sum((one) => one.rejected)],
  ]);
  text.add(
    'risktrail_trail_backlog_records',
    'gauge',
    'Records that wait to be shipped.',
    status.streams.some((one) => one.backlog !== null) ? [[{}, sum((one) => one.backlog?.records ?? 0)]] : [],
  );
  text.add('risktrail_trail_disk_free_bytes', 'gauge', 'Free bytes of the volume.', [[{}, status.diskFreeBytes]]);
  text.add('risktrail_trail_concerns', 'gauge', 'What an operator should look at.', [[{}, status.concerns.length]]);
  text.add(
    'risktrail_stream_running',
    'gauge',
    'Whether the writer of an open stream tells of itself.',
    open.map((one) => [{ stream: one.stream }, one.running === null ? null : Number(one.running)] as const),
  );
  text.add(
    'risktrail_stream_checkpoint_age_seconds',
    'gauge',
    'Age of the newest signed checkpoint.',
    open.map((one) => [{ stream: one.stream }, one.checkpoint?.ageSeconds] as const),
  );
  text.add(
    'risktrail_stream_uncovered_records',
    'gauge',
    'Records that no checkpoint covers yet.',
    open.map((one) => [{ stream: one.stream }, one.uncovered] as const),
  );
}

interface BreakerView {
  readonly name: string;
  readonly status: string;
  readonly failures: number;
  readonly day_pnl: number | null;
}
interface LimitsView {
  readonly set: string;
  readonly day_pnl: number;
  readonly daily_loss: number;
  readonly daily_loss_max: number | null;
  readonly daily_loss_headroom: number | null;
}
interface StopView {
  readonly status: string;
}
const TRADING_STATES = ['ACTIVE', 'REDUCING', 'HALTED'] as const;
const BREAKER_STATES = ['CLOSED', 'OPEN', 'HALF_OPEN', 'FORCED_OPEN', 'DISABLED'] as const;

function addRisk(text: MetricsText, views: readonly StateView[]): void {
  const each = <T>(
    of: (view: StateView) => readonly T[],
    sample: (one: T, stream: string) => readonly (readonly [Labels, number | null])[],
  ) => views.flatMap((view) => of(view).flatMap((one) => sample(one, view.stream)));
  const scopes = (view: StateView) =>
    [['global', view.trading_state!.global], ...Object.entries(view.trading_state!.scopes)] as [string, string][];
  const breakers = (view: StateView) => (view.circuit_breakers ?? []) as readonly BreakerView[];
  const limits = (view: StateView) => (view.portfolio_limits ?? []) as readonly LimitsView[];
  text.add(
    'risktrail_trading_state',
    'gauge',
    'Trading state by scope: 1 for the one that holds.',
    each(scopes, ([scope, state], stream) =>
      TRADING_STATES.map((one) => [{ stream, scope, state: one }, Number(one === state)] as const),
    ),
  );
  text.add(
    'risktrail_circuit_breaker_state',
    'gauge',
    'State of a circuit breaker: 1 for the one that holds.',
    each(breakers, ({ name, status }, stream) =>
      BREAKER_STATES.map((one) => [{ stream, breaker: name, state: one }, Number(one === status)] as const),
    ),
  );
  text.add(
    'risktrail_circuit_breaker_failures',
    'gauge',
    'Failures in the window of a circuit breaker.',
    each(breakers, ({ name, failures }, stream) => [[{ stream, breaker: name }, failures] as const]),
  );
  text.add(
    'risktrail_day_pnl',
    'gauge',
    'Result of the day, by set of limits.',
    each(limits, (one, stream) => [[{ stream, set: one.set }, one.day_pnl] as const]),
  );
  text.add(
    'risktrail_daily_loss',
    'gauge',
    'Loss of the day, by set of limits.',
    each(limits, (one, stream) => [[{ stream, set: one.set }, one.daily_loss] as const]),
  );
  text.add(
    'risktrail_daily_loss_max',
    'gauge',
    'Limit of the day’s loss.',
    each(limits, (one, stream) => [[{ stream, set: one.set }, one.daily_loss_max] as const]),
  );
  text.add(
    'risktrail_daily_loss_headroom',
    'gauge',
    'What is left until that limit.',
    each(limits, (one, stream) => [[{ stream, set: one.set }, one.daily_loss_headroom] as const]),
  );
  text.add(
    'risktrail_open_orders',
    'gauge',
    'Orders that are open.',
    views.map((view) => [{ stream: view.stream }, view.open_orders?.length ?? 0] as const),
  );
  const stops = (view: StateView) => (view.trailing_stops ?? []) as readonly StopView[];
  text.add(
    'risktrail_trailing_stops',
    'gauge',
    'Trailing stops by their status.',
    views.flatMap((view) => {
      const counts = new Map<string, number>();
      for (const { status } of stops(view)) counts.set(status, (counts.get(status) ?? 0) + 1);
      return [...counts].map(([status, count]) => [{ stream: view.stream, status }, count] as const);
    }),
  );
}

function addRequests(text: MetricsText, counts: RequestCounts): void {
  text.add(
    'risktrail_http_requests_total',
    'counter',
    'Requests answered.',
    [...counts.byRoute].map(([key, count]) => {
      const [method, route, status] = JSON.parse(key) as [string, string, number];
      return [{ method, route, status }, count] as const;
    }),
  );
  let total = 0;
  const buckets = counts.buckets.map((count, at) => {
    total += count;
    return [{ le: String(RequestCounts.BOUNDS[at] ?? '+Inf') }, total, '_bucket'] as const;
  });
  text.add(
    'risktrail_http_request_seconds',
    'histogram',
    'Time to answer a request.',
    counts.count === 0 ? [] : [...buckets, [{}, counts.seconds, '_sum'], [{}, counts.count, '_count']],
  );
}
