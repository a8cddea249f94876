/** `/v1/alerts`: alerts as they stand, and what a person does about one. */
import type { FastifyInstance } from 'fastify';
import { AlertFold, type AlertRecord } from '../../alerting/open-alerts.ts';
import { type AlertActKind, recordAlertAct, recordTimeMs } from '../../analysis/alerts.ts';
import { RiskTrailError } from '../../core/errors.ts';
import type { Caller } from '../access/tokens.ts';
import { addRoute, answerTagged } from '../define-route.ts';
import type { Place } from '../pages/place.ts';
import { readRecordTest } from '../pages/record-test.ts';
import { ProblemError } from '../problem.ts';
import { ANSWERS, paging, TEXT } from '../schemas.ts';
import type { ServerContext } from '../server-context.ts';
import { callerOf, LOCAL } from '../server-guard.ts';

interface AlertsQuery {
  readonly status?: string;
  readonly severity?: string;
  readonly rule?: string;
  readonly symbol?: string;
  readonly limit: number;
  readonly cursor?: string;
}

/** How what is done about alerts is recorded. */
export interface AlertActs {
  /** Masks a text of a person. */
  redact(text: string): string;
  /** Key that signs; the data directory's own unless given. */
  readonly signingKeyFile: string | undefined;
  onError(error: unknown, what: string): void;
}

const ACTS = [
  ['acknowledge', 'acknowledged'],
  ['resolve', 'resolved'],
  ['dismiss', 'dismissed'],
] as const satisfies readonly (readonly [string, AlertActKind])[];

/** Adds the routes. */
export function addAlertRoutes(app: FastifyInstance, context: ServerContext, acts: AlertActs): void {
  for (const [verb, act] of ACTS) addActRoute(app, context, acts, verb, act);

  addRoute(app, {
    method: 'GET',
    url: '/v1/alerts',
    operation: 'listAlerts',
    tag: 'alerts',
    summary: 'Alerts as they stand, the newest first.',
    query: {
      status: {
        type: 'string',
        enum: ['ACTIVE', 'ACKNOWLEDGED', 'RESOLVED', 'DISMISSED'],
        description: 'How it stands.',
      },
      severity: TEXT('Severity of the alert.'),
      rule: TEXT('Rule that raised it.'),
      symbol: TEXT('Instrument.'),
      ...paging(context.limits.maxPageRecords),
    },
    answer: { description: 'A page of alerts.', schema: ANSWERS.alerts },
    tagged: true,
    handle(request, reply) {
      const { limit, cursor, ...asked } = request.query as AlertsQuery;
      const from = cursor === undefined ? undefined : readAlertCursor(cursor);
      return answerTagged(context, request, reply, { asked, limit, from }, async () => {
        const wanted = Object.entries(asked);
        const conditions = [
          ...wanted.map(([name]) => `${name} = $${name}`),
          ...(from === undefined
            ? []
            : [
                "(strftime(coalesce(created_at, TIMESTAMP 'epoch'), '%Y-%m-%dT%H:%M:%S.%f'), alert_id) < ($created, $id)",
              ]),
        ];
        const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
        const sql = `SELECT *, strftime(coalesce(created_at, TIMESTAMP 'epoch'), '%Y-%m-%dT%H:%M:%S.%f') AS place_ FROM alerts${where} ORDER BY place_ DESC, alert_id DESC LIMIT ${limit + 1}`;
        const parameters = {
          ...Object.fromEntries(wanted),
          ...(from === undefined ? {} : { created: from[0], id: from[1] }),
        };
        const { columns, rows } = await context.long.run(() => context.trail.sql(sql, parameters));
        const found = rows.map((row) => Object.fromEntries(columns.map((name, at) => [name, row[at] ?? null])));
        const shown = found.slice(0, limit);
        const last = shown.at(-1);
        const next = found.length > limit && last !== undefined ? [last['place_'], last['alert_id']] : undefined;
        return {
          alerts: shown.map(({ place_, ...alert }) => alert),
          page: { limit, next: next === undefined ? null : Buffer.from(JSON.stringify(next)).toString('base64url') },
          warning: context.integrity.warning,
        };
      });
    },
  });
}

/** @throws RiskTrailError OPTION_INVALID */
function readAlertCursor(text: string): readonly [string, string] {
  try {
    const content: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    if (Array.isArray(content) && content.length === 2 && content.every((one) => typeof one === 'string')) {
      return content as unknown as readonly [string, string];
    }
  } catch {
    // Told below.
  }
  throw new RiskTrailError('OPTION_INVALID', {
    field: 'cursor',
    expected: 'a cursor as an earlier page gave it',
    received: JSON.stringify(text.slice(0, 24)),
  });
}

function addActRoute(
  app: FastifyInstance,
  context: ServerContext,
  acts: AlertActs,
  verb: string,
  act: AlertActKind,
): void {
  addRoute(app, {
    method: 'POST',
    url: `/v1/alerts/:alert_id/${verb}`,
    operation: `${verb}Alert`,
    tag: 'alerts',
    scope: 'acknowledge',
    summary: `Records that an open alert was ${act}, by whom and why: an event of its service in the trail.`,
    path: { alert_id: TEXT('alert.id', { required: true, maxLength: 100 }) },
    body: {
      type: 'object',
      additionalProperties: false,
      required: ['reason'],
      properties: {
        reason: { type: 'string', minLength: 1, maxLength: 1000, description: 'Why.' },
        actor: TEXT('Who; needed where no token tells it.', { maxLength: 100 }),
      },
    },
    answer: { description: 'The event that was recorded.', schema: ANSWERS.alertAct },
    async handle(request) {
      const { alert_id: id } = request.params as { alert_id: string };
      const { reason, actor } = request.body as { reason: string; actor?: string };
      const who = actorOf(actor, callerOf(request));
      const alert = await context.long.run(() => openAlert(context, id));
      const recordId = await recordAlertAct({
        dataDir: context.dataDir,
        alert,
        act,
        actor: acts.redact(who),
        note: acts.redact(reason),
        clock: context.clock,
        signingKeyFile: acts.signingKeyFile,
        onError: acts.onError,
      });
      return { alert_id: id, act, record_id: recordId };
    },
  });
}

/** @throws RiskTrailError OPTION_INVALID where nobody tells who acts */
function actorOf(given: string | undefined, caller: Caller | undefined): string {
  if (caller !== undefined && caller !== LOCAL)
    return given === undefined ? caller.name : `${given} (token ${caller.name})`;
  if (given !== undefined) return given;
  throw new RiskTrailError('OPTION_INVALID', { field: 'actor', expected: 'a person’s name', received: 'nothing' });
}

const PAGE_RECORDS = 1000;

/** The open alert of an id. */
async function openAlert(context: ServerContext, id: string): Promise<AlertRecord> {
  const test = readRecordTest({ event: ['alert.*'] }, context.clock);
  const view = await context.pieces.view(true);
  const fold = new AlertFold();
  let from: Place | undefined;
  do {
    const page = await context.pages.read(
      { test, order: 'asc', limit: PAGE_RECORDS, from, budgetMs: Number.POSITIVE_INFINITY },
      view,
    );
    for (const { flat } of page.records) {
      fold.apply({ name: flat.event ?? '', service: flat.service ?? '', timeMs: recordTimeMs(flat), attributes: flat });
    }
    from = page.next;
  } while (from !== undefined);
  const alert = fold.all().find((one) => one.id === id);
  if (alert === undefined)
    throw new ProblemError(404, 'ALERT_UNKNOWN', `the trail has no alert ${JSON.stringify(id)}`, {
      remedy: '/v1/alerts lists the alerts.',
    });
  if (alert.status === 'RESOLVED' || alert.status === 'DISMISSED') {
    throw new ProblemError(409, 'ALERT_NOT_OPEN', `the alert ${JSON.stringify(id)} is ${alert.status} already`);
  }
  return alert;
}
