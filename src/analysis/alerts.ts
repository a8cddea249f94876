/** Alerts of a trail: which there are, what rules would have raised, and what a person does about one. */

import { AlertEvaluator } from '../alerting/evaluator.ts';
import { AlertFold, type AlertRecord } from '../alerting/open-alerts.ts';
import type { AlertRule, AlertStatement } from '../alerting/rule.ts';
import { alertText } from '../alerting/text.ts';
import { openJournal } from '../audit/journal/journal.ts';
import { SEVERITY_NUMBERS } from '../catalog/define.ts';
import { EVENTS } from '../catalog/events.ts';
import { type Clock, hrTimeToNanos, toHrTime } from '../core/clock.ts';
import { describeValue, RiskTrailError } from '../core/errors.ts';
import { nearest } from '../core/options.ts';
import { VERSION } from '../version.ts';
import type { FlatRecord } from './flat-record.ts';
import { type QueryOptions, queryTrail } from './trail-query.ts';

/** An alert that rules raise, seen from the end of the trail. */
export interface EvaluatedAlert extends AlertStatement {
  /** Epoch milliseconds. */
  readonly raisedMs: number;
  /** Absent where it stood at the end. */
  readonly resolvedMs?: number;
  readonly value: number | undefined;
}

/** What an evaluation came to. */
export interface AlertEvaluation {
  readonly records: number;
  /** In the order in which they were raised. */
  readonly alerts: readonly EvaluatedAlert[];
}

/** What a person does about an alert. */
export type AlertActKind = 'acknowledged' | 'resolved' | 'dismissed';

/** Epoch milliseconds of a record, with the microseconds in the fraction. */
export function recordTimeMs({ timestamp }: FlatRecord): number {
  // 2025-11-21T01:54:20.585712567Z: Date knows three of the nine digits.
  return Date.parse(`${timestamp.slice(0, 23)}Z`) + Number(timestamp.slice(23, 26)) / 1000;
}

/**
 * Runs rules over the records of a trail, each at its own time, up to the last one.
 * @param bounds times, ISO 8601, between which records are taken
 * @param onProgress told how far reading has come
 * @throws RiskTrailError PATH_NOT_FOUND, FILE_UNREADABLE, NO_TRAIL_FILES
 */
export async function evaluateAlerts(
  paths: readonly string[],
  rules: readonly AlertRule[],
  { since = '', until = '\uffff' }: { readonly since?: string | undefined; readonly until?: string | undefined } = {},
  onProgress?: QueryOptions['onProgress'],
): Promise<AlertEvaluation> {
  const evaluator = new AlertEvaluator(rules);
  const alerts: EvaluatedAlert[] = [];
  /** Index of the alert that stands, by its group's key. */
  const open = new Map<string, number>();
  let records = 0;
  const filter = ({ timestamp }: FlatRecord) => timestamp >= since && timestamp <= until;
  for await (const batch of queryTrail(paths, { filter, onProgress })) {
    for (const record of batch) {
      records++;
      const timeMs = recordTimeMs(record);
      const transitions = evaluator.observe(
        {
          name: record.event ?? '',
          severityNumber: record.severity_number,
          service: record.service ?? '',
          timeMs,
          recordId: record.record_id ?? '',
          attributes: record,
        },
        timeMs,
      );
      for (const transition of transitions) {
        const { kind, rule, key, service, group, value, events, timeMs: atMs } = transition;
        if (kind === 'raised') {
          open.set(key, alerts.length);
          const text = alertText(rule, transition);
          const { type, severity } = rule;
          alerts.push({ rule: rule.id, type, severity, ...text, service, group, raisedMs: atMs, value, events });
        } else {
          const index = open.get(key);
          if (index !== undefined) alerts[index] = { ...alerts[index]!, resolvedMs: atMs };
          open.delete(key);
        }
      }
    }
  }
  return { records, alerts };
}

/** An alert that rules raise, as `risktrail alerts evaluate --json` and the REST API tell it. */
export interface ToldAlert extends Omit<EvaluatedAlert, 'raisedMs' | 'resolvedMs'> {
  readonly raised_at: string;
  /** Null where it stood at the end. */
  readonly resolved_at: string | null;
}

/** What chosen rules raise. */
export interface ToldEvaluation {
  readonly records: number;
  /** Ids of the rules that were asked for. */
  readonly rules: readonly string[];
  readonly alerts: readonly ToldAlert[];
}

/** Which rules are asked for, and over which records. */
export interface EvaluationChoice {
  /** Ids; all rules unless given. */
  readonly only?: readonly string[] | undefined;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
}

/**
 * {@link evaluateAlerts} for some of the rules. Rules that silence them are evaluated as well, and not told.
 * @throws RiskTrailError OPTION_INVALID for an id that no rule has, and as `evaluateAlerts`
 */
export async function evaluateChosen(
  paths: readonly string[],
  all: readonly AlertRule[],
  { only, since, until }: EvaluationChoice,
  onProgress?: QueryOptions['onProgress'],
): Promise<ToldEvaluation> {
  const ids = all.map(({ id }) => id);
  const unknown = only?.find((id) => !ids.includes(id));
  if (unknown !== undefined) {
    const expected = `the id of a rule${nearest(unknown, ids)}`;
    throw new RiskTrailError('OPTION_INVALID', { field: '--rule', expected, received: describeValue(unknown) });
  }
  const wanted = all.filter(({ id }) => only === undefined || only.includes(id));
  const rules = all.filter((rule) => wanted.includes(rule) || wanted.some((one) => one.silencedBy.includes(rule.id)));
  const { records, alerts } = await evaluateAlerts(paths, rules, { since, until }, onProgress);
  const iso = (ms: number) => new Date(ms).toISOString();
  return {
    records,
    rules: wanted.map(({ id }) => id),
    alerts: alerts
      .filter(({ rule }) => wanted.some(({ id }) => id === rule))
      .map(({ raisedMs, resolvedMs, ...alert }) => ({
        raised_at: iso(raisedMs),
        resolved_at: resolvedMs === undefined ? null : iso(resolvedMs),
        ...alert,
      })),
  };
}

/**
 * The alerts of a trail as they stand at its end, oldest first: every open one, and the newest of those that ended.
 * @throws RiskTrailError PATH_NOT_FOUND, FILE_UNREADABLE, NO_TRAIL_FILES
 */
export async function listAlerts(paths: readonly string[]): Promise<readonly AlertRecord[]> {
  const fold = new AlertFold();
  const filter = ({ event }: FlatRecord) => event?.startsWith('alert.') === true;
  for await (const batch of queryTrail(paths, { filter })) {
    for (const record of batch) {
      fold.apply({
        name: record.event ?? '',
        service: record.service ?? '',
        timeMs: recordTimeMs(record),
        attributes: record,
      });
    }
  }
  return fold.all();
}

/** What is recorded of an act. */
export interface RecordedAct {
  readonly dataDir: string;
  readonly alert: AlertRecord;
  readonly act: AlertActKind;
  readonly actor: string;
  readonly note: string;
  readonly clock: Clock;
  /** Where the data directory's own key is not that of the service. */
  readonly signingKeyFile?: string | undefined;
  /** Told of what goes wrong while it is written. */
  readonly onError: (error: unknown, what: string) => void;
}

/**
 * Records what a person did about an alert, as an event of the alert's service in a stream of the data directory that is
 * opened, signed and closed for it; beside a running service it is a stream of its own.
 * @returns the record's id
 * @throws RiskTrailError as `openJournal`
 */
export async function recordAlertAct(recorded: RecordedAct): Promise<string> {
  const { dataDir, alert, act, actor, note, clock, signingKeyFile, onError } = recorded;
  const journal = openJournal({
    dataDir,
    serviceName: alert.service,
    signingKeyFile,
    resource: { 'service.name': alert.service },
    scope: { name: 'risktrail', version: VERSION },
    clock,
    onError,
  });
  const name = `alert.${act}` as const;
  const { severity } = EVENTS[name];
  const status = { acknowledged: 'ACKNOWLEDGED', resolved: 'RESOLVED', dismissed: 'DISMISSED' }[act];
  const { recordId } = journal.append({
    eventName: name,
    severityNumber: SEVERITY_NUMBERS[severity],
    severityText: severity,
    timeUnixNano: hrTimeToNanos(toHrTime(clock.now())),
    body: `Alert ${alert.id} ${act} by ${actor}`,
    attributes: {
      'alert.id': alert.id,
      'alert.rule': alert.rule,
      'alert.title': alert.title,
      'alert.status': status,
      'alert.group': alert.group,
      'alert.note': note,
      'risk.actor': actor,
    },
  });
  await journal.close('alerts command');
  return recordId;
}
