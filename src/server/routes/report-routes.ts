/** `/v1/reports`, `/v1/explain` and `/v1/query`: what the trail comes to. */
import type { FastifyInstance } from 'fastify';
import { parseMoment } from '../../analysis/explain-time.ts';
import type { Report, ReportName } from '../../analysis/index.ts';
import { REPORTS } from '../../analysis/report/types.ts';
import type { SqlParameters } from '../../analysis/sql/trail-database.ts';
import { parseBound } from '../../analysis/time-bound.ts';
import { RiskTrailError } from '../../core/errors.ts';
import { addRoute, answerTagged, JSON_TYPE } from '../define-route.ts';
import { ANSWERS, AT, FLAG, REPORT_QUERY, TEXT } from '../schemas.ts';
import type { ServerContext } from '../server-context.ts';
import { MAX_ANSWER } from '../threads/questions.ts';

interface ReportQuery {
  readonly from?: string;
  readonly to?: string;
  readonly symbol?: string;
  readonly strategy?: string;
  readonly account?: string;
  readonly verify: boolean;
}

/** What the answer of a report says of its records: what the report knows, else what the server does. */
export function reportWarning(context: ServerContext, { integrity, records }: Report): string | null {
  const trust =
    integrity.status === 'findings'
      ? integrity.detail
      : integrity.status === 'verified'
        ? null
        : context.integrity.warning;
  if (records > 0) return trust;
  const none = 'no record of the trail is within what was asked for';
  return context.integrity.known.status === 'findings' ? `${none}; ${trust}` : none;
}

/** Bounds as points in time, so that `24h` is another question a minute later. */
export function boundsOf(
  context: ServerContext,
  names: readonly [string, string],
  from?: string,
  to?: string,
): readonly (string | null)[] {
  const { clock } = context;
  const first = from === undefined ? null : parseBound(names[0], from, 'from', clock);
  const last = to === undefined ? null : parseBound(names[1], to, 'to', clock);
  if (first !== null && last !== null && first > last) {
    const expected = `a time not before ${names[0]} (${from})`;
    throw new RiskTrailError('OPTION_INVALID', { field: names[1], expected, received: JSON.stringify(to) });
  }
  return [first, last];
}

/** Adds the routes. */
export function addReportRoutes(app: FastifyInstance, context: ServerContext): void {
  addRoute(app, {
    method: 'GET',
    url: '/v1/reports',
    operation: 'listReports',
    tag: 'reports',
    summary: 'Names of the reports.',
    answer: { description: 'Names.', schema: ANSWERS.reports },
    handle: () => ({ reports: REPORTS }),
  });

  addRoute(app, {
    method: 'GET',
    url: '/v1/reports/:name',
    operation: 'getReport',
    tag: 'reports',
    summary: 'A report: metrics with their conventions, and tables.',
    path: { name: { type: 'string', enum: REPORTS, required: true, description: 'Which report.' } },
    query: REPORT_QUERY,
    answer: { description: 'The report.', schema: ANSWERS.report },
    tagged: true,
    handle(request, reply) {
      const { name } = request.params as { name: ReportName };
      const asked = request.query as ReportQuery;
      const bounds = boundsOf(context, ['from', 'to'], asked.from, asked.to);
      return answerTagged(context, request, reply, { name, asked, bounds }, async () => {
        const report = await context.long.run(() => context.trail.report[name](asked));
        const integrity = asked.verify ? report.integrity : context.integrity.known;
        return { ...report, integrity, warning: reportWarning(context, report) };
      });
    },
  });

  addRoute(app, {
    method: 'GET',
    url: '/v1/explain',
    operation: 'explain',
    tag: 'reports',
    summary: 'Why trading was halted at a time, or what led to an event, an order or a position.',
    description: 'Exactly one of at, event, order and position.',
    query: {
      at: {
        ...AT,
        description: `${AT['description']} Or a time of day (10:30, UTC): on the last record’s day if trading was halted then, else on the latest day on which a halt began then, or was in force.`,
      },
      event: TEXT('Record id.'),
      order: TEXT('Order id.'),
      position: TEXT('Position, execution or stop id.'),
      verify: FLAG('Whether the trail is verified as a whole, however large.'),
    },
    answer: { description: 'The explanation.', schema: ANSWERS.explanation },
    tagged: true,
    handle(request, reply) {
      const asked = request.query as {
        at?: string;
        event?: string;
        order?: string;
        position?: string;
        verify: boolean;
      };
      const at = asked.at === undefined ? undefined : parseMoment('at', asked.at, context.clock);
      return answerTagged(context, request, reply, { ...asked, at }, async () => {
        const explained = await context.long.run(() => context.trail.explain(asked));
        return { ...explained, warning: asked.verify ? null : context.integrity.warning };
      });
    },
  });

  const { maxRows } = context.limits;
  addRoute(app, {
    method: 'POST',
    url: '/v1/query',
    operation: 'query',
    tag: 'reports',
    summary: 'One SQL statement that only reads, over the views of the trail.',
    description:
      'The views and their columns are those of risktrail query. Nothing but the trail can be read, and nothing written.',
    body: {
      type: 'object',
      additionalProperties: false,
      required: ['sql'],
      properties: {
        sql: {
          type: 'string',
          minLength: 1,
          maxLength: 20_000,
          description: 'SELECT, WITH, DESCRIBE, SUMMARIZE or EXPLAIN.',
          examples: ['SELECT event, count(*) AS n FROM events GROUP BY event ORDER BY n DESC'],
        },
        parameters: {
          type: 'object',
          additionalProperties: { type: ['string', 'number', 'boolean', 'null'] },
          description: 'Values for $name places of the text.',
        },
        limit: { type: 'integer', minimum: 1, maximum: maxRows, default: 1000, description: 'Most rows.' },
      },
    },
    answer: { description: 'Columns and rows.', schema: ANSWERS.query },
    async handle(request, reply) {
      const { sql, parameters, limit } = request.body as { sql: string; parameters?: SqlParameters; limit: number };
      const { columns, rows } = await context.long.run(() => context.queries.sql(limited(sql, limit), parameters));
      const text = JSON.stringify({
        columns,
        rows: rows.slice(0, limit),
        truncated: rows.length > limit,
        warning: context.integrity.warning,
      });
      if (text.length > MAX_ANSWER)
        throw new RiskTrailError('ANSWER_TOO_LARGE', { bytes: text.length, max: MAX_ANSWER });
      return reply.type(`${JSON_TYPE}; charset=utf-8`).send(text);
    },
  });
}

/** What tells of a query or a view is short; what isn't a query is for the database to refuse. */
const AS_IT_IS =
  /^(?:describe|desc|summarize|explain|show|insert|update|delete|merge|create|drop|alter|copy|attach|detach|set|reset|pragma|install|load|call|export|import|vacuum|checkpoint|begin|commit|rollback|use|prepare|execute|deallocate)\b/i;

/** A query for at most one row more than asked for. */
function limited(sql: string, limit: number): string {
  const text = sql.replace(/(?:\s|;)+$/, '');
  const first = text.replace(/^(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)+/, '');
  if (first === '' || AS_IT_IS.test(first)) return sql;
  // A comment at the end must not swallow the bracket.
  return `SELECT * FROM (${text}\n) AS asked LIMIT ${limit + 1}`;
}
