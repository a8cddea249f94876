/**
 * `/audit/…`: the endpoints that dashboards of older trading systems call, by their names and parameters. Values stand under
 * their plain names; the metrics behind them, with their conventions, are those of `/v1/reports`.
 */
import type { FastifyInstance } from 'fastify';
import type { Report, ReportName, ReportSection } from '../../analysis/index.ts';
import type { SqlValue } from '../../analysis/sql/duckdb.ts';
import { EVENTS } from '../../catalog/events.ts';
import { RiskTrailError } from '../../core/errors.ts';
import { nearest } from '../../core/options.ts';
import { addRoute, answerTagged, type Parameters } from '../define-route.ts';
import { ANSWERS, DATE_RANGE, TEXT } from '../schemas.ts';
import type { ServerContext } from '../server-context.ts';
import { sendExport } from './export-routes.ts';
import { boundsOf, reportWarning } from './report-routes.ts';

interface Range {
  readonly start_date?: string;
  readonly end_date?: string;
}

/** A section as plain values by their names, or as objects by the names of its columns. */
function plainSection({ metrics, columns, rows }: ReportSection): unknown {
  if (metrics !== undefined)
    return Object.fromEntries(Object.entries(metrics).map(([name, { value }]) => [name, value]));
  return (rows ?? []).map((row) => rowObject(columns ?? [], row));
}

const rowObject = (columns: readonly string[], row: readonly SqlValue[]): Record<string, SqlValue> =>
  Object.fromEntries(columns.map((name, at) => [name, row[at] ?? null]));

/** Why values are null. */
function undefinedOf({ sections }: Report): Record<string, string> {
  const told: Record<string, string> = {};
  for (const { metrics } of sections) {
    for (const [name, metric] of Object.entries(metrics ?? {})) {
      if (metric.value === null) told[name] = metric.undefinedBecause ?? 'there is no value';
    }
  }
  return told;
}

interface AuditEndpoint {
  readonly name: string;
  readonly operation: string;
  readonly report: ReportName;
  readonly summary: string;
  values(report: Report): Readonly<Record<string, unknown>>;
}

const section = (report: Report, name: string): unknown =>
  plainSection(report.sections.find((one) => one.name === name)!);
const members = (report: Report, name: string): Record<string, unknown> =>
  section(report, name) as Record<string, unknown>;

const ENDPOINTS: readonly AuditEndpoint[] = [
  {
    name: 'trading_metrics',
    operation: 'auditTradingMetrics',
    report: 'trading',
    summary: 'What the closed trades came to.',
    values: (report) => ({ ...members(report, 'trading'), ...members(report, 'orders') }),
  },
  {
    name: 'system_metrics',
    operation: 'auditSystemMetrics',
    report: 'system',
    summary: 'Errors, health checks and API calls.',
    values: (report) => members(report, 'system'),
  },
  {
    name: 'risk_metrics',
    operation: 'auditRiskMetrics',
    report: 'risk',
    summary: 'Violations, rejections, stops and breakers.',
    values: (report) => ({
      ...members(report, 'risk'),
      rejections: section(report, 'rejections'),
      breakers: section(report, 'breakers'),
    }),
  },
  {
    name: 'symbol_performance',
    operation: 'auditSymbolPerformance',
    report: 'symbol',
    summary: 'Trades and results by symbol.',
    values: (report) => ({
      symbols: Object.fromEntries(
        (section(report, 'symbols') as Record<string, SqlValue>[]).map(({ symbol, ...rest }) => [
          String(symbol ?? ''),
          rest,
        ]),
      ),
    }),
  },
  {
    name: 'error_summary',
    operation: 'auditErrorSummary',
    report: 'errors',
    summary: 'How many errors, and which.',
    values: (report) => ({ ...members(report, 'error_summary'), errors: section(report, 'errors') }),
  },
];

/** Adds the routes. */
export function addAuditRoutes(app: FastifyInstance, context: ServerContext): void {
  const date: Parameters = {
    date: TEXT('The day, 2024-01-15. Without it, the last day of the trail.', {
      pattern: '^\\d{4}-\\d\\d-\\d\\d$',
      examples: ['2020-03-16'],
    }),
  };
  addRoute(app, {
    method: 'GET',
    url: '/audit/daily_report',
    operation: 'auditDailyReport',
    tag: 'audit',
    summary: 'Everything about one day.',
    query: date,
    answer: {
      description: 'The sections of the daily report, by name.',
      schema: {
        ...ANSWERS.values,
        required: [
          'date',
          'records',
          'undefined',
          'warning',
          'trading',
          'orders',
          'risk',
          'system',
          'symbols',
          'errors',
          'events',
        ],
        properties: {
          date: { type: ['string', 'null'], description: 'The day; null where the trail is empty.' },
          records: ANSWERS.values.properties.records,
          undefined: ANSWERS.values.properties.undefined,
          warning: ANSWERS.values.properties.warning,
        },
      },
    },
    tagged: true,
    handle(request, reply) {
      const { date: day } = request.query as { date?: string };
      boundsOf(context, ['date', 'date'], day);
      return answerTagged(context, request, reply, { day }, async () => {
        const report = await context.long.run(() => context.trail.report.daily({ from: day }));
        return {
          date: report.from?.slice(0, 10) ?? null,
          records: report.records,
          ...Object.fromEntries(report.sections.map((one) => [one.name, plainSection(one)])),
          undefined: undefinedOf(report),
          integrity: context.integrity.known,
          warning: reportWarning(context, report),
        };
      });
    },
  });

  for (const endpoint of ENDPOINTS) {
    addRoute(app, {
      method: 'GET',
      url: `/audit/${endpoint.name}`,
      operation: endpoint.operation,
      tag: 'audit',
      summary: endpoint.summary,
      query: DATE_RANGE,
      answer: { description: 'Values by their names.', schema: ANSWERS.values },
      tagged: true,
      handle(request, reply) {
        const { start_date: from, end_date: to } = request.query as Range;
        const bounds = boundsOf(context, ['start_date', 'end_date'], from, to);
        return answerTagged(context, request, reply, bounds, async () => {
          const report = await context.long.run(() => context.trail.report[endpoint.report]({ from, to }));
          return {
            start_date: report.from,
            end_date: report.to,
            records: report.records,
            ...endpoint.values(report),
            undefined: undefinedOf(report),
            integrity: context.integrity.known,
            warning: reportWarning(context, report),
          };
        });
      },
    });
  }

  addRoute(app, {
    method: 'POST',
    url: '/audit/export_logs',
    operation: 'auditExportLogs',
    tag: 'audit',
    summary: 'The records of a range as a CSV file.',
    description: 'output_file is the name that the download has; nothing is written on the server.',
    body: {
      type: 'object',
      additionalProperties: false,
      properties: {
        output_file: TEXT('Name of the download.', { maxLength: 200 }),
        ...DATE_RANGE,
        event_types: {
          type: 'array',
          maxItems: 100,
          items: { type: 'string', minLength: 1, maxLength: 100 },
          description: 'Names of events, also in the older form: trade_entry, TRADE_EXIT.',
        },
      },
    },
    answer: { description: 'CSV (RFC 4180).', type: 'text/csv' },
    handle(request, reply) {
      const asked = (request.body ?? {}) as Range & { output_file?: string; event_types?: readonly string[] };
      const { start_date: since, end_date: until, event_types: types } = asked;
      boundsOf(context, ['start_date', 'end_date'], since, until);
      const event = types?.map(eventOfType);
      return sendExport(context, reply, 'csv', { since, until, event }, asked.output_file ?? 'trading_logs.csv');
    },
  });
}

/** Older names that are not made of ours. */
const OLD_NAMES: Readonly<Record<string, string>> = {
  latency_measurement: 'performance.latency',
  position_size_calculation: 'risk.position_size_calculated',
};
const NAMES = Object.keys(EVENTS);

/**
 * The event of a type in the older form.
 * @throws RiskTrailError OPTION_INVALID
 */
export function eventOfType(type: string): string {
  if (type.includes('.') || type.includes('*')) return type;
  const plain = type.toLowerCase();
  const underscored = (name: string) => name.replaceAll('.', '_');
  const found =
    OLD_NAMES[plain] ??
    NAMES.find((name) => underscored(name) === plain) ??
    NAMES.find((name) => name.slice(name.indexOf('.') + 1).replaceAll('.', '_') === plain);
  if (found !== undefined) return found;
  const expected = `types of events, such as trade_entry${nearest(plain, NAMES.map(underscored))}`;
  throw new RiskTrailError('OPTION_INVALID', { field: 'event_types', expected, received: JSON.stringify(type) });
}
