/** Incidents: what a risk officer looks up first, each with its explanation. */
import type { ExplainStep } from '../explain.ts';
import { msOf } from './format.ts';
import type { PageSource, Scope } from './page-types.ts';

/** How grave an incident is. */
export type Gravity = 'halted' | 'caution' | 'notice';

/** An incident. */
export interface Incident {
  readonly ms: number;
  readonly what: string;
  readonly gravity: Gravity;
  readonly scope: string | null;
  readonly by: string | null;
  readonly text: string;
  readonly recordId: string | null;
  /** How long it lasted; null where it has no length, or had not ended at the end of the range. */
  readonly lastedMs: number | null;
  /** Whether it has a length and had not ended. */
  readonly ongoing: boolean;
  readonly answer: string | null;
  readonly steps: readonly ExplainStep[];
}

/** So many unfold; the rest is counted. */
export const MAX_INCIDENTS = 60;

const NAMES: Readonly<Record<string, readonly [string, Gravity]>> = {
  'risk.circuit_breaker.state_change': ['Breaker opened', 'halted'],
  'risk.kill_switch': ['Kill switch', 'halted'],
  'risk.daily_loss_limit': ['Daily loss limit', 'halted'],
  'risk.limit_hit': ['Limit reached', 'caution'],
  'enforcement.breach': ['Rule breached', 'caution'],
  'order.outcome_unknown': ['Outcome unknown', 'caution'],
  'audit.degraded': ['Records lost', 'halted'],
  'audit.recovered': ['Unclean end', 'notice'],
  'alert.raised': ['Critical alert', 'caution'],
};

/** The incidents of a range as SQL, all of them, with the time at which a halt ended. */
function incidentsSql(scope: Scope): string {
  const names = Object.keys(NAMES)
    .map((name) => `'${name}'`)
    .join(', ');
  return `WITH found AS MATERIALIZED (
      SELECT event, time_unix_nano AS t, sequence AS seq, stream, record_id, body, scope, actor, reason, cause_record_id,
        attributes['risk.trading_state.new'] AS trading, attributes['risk.circuit_breaker.state.new'] AS breaker,
        attributes['risk.circuit_breaker.name'] AS breaker_name, attributes['alert.severity'] AS alert
      FROM events WHERE event IN (${names}, 'risk.trading_state_change') AND time_unix_nano BETWEEN ${scope.fromNs} AND ${scope.toNs}),
    states AS (SELECT *, lead(t) OVER (PARTITION BY stream, scope ORDER BY t, seq) AS ended FROM found WHERE event = 'risk.trading_state_change'),
    openings AS (SELECT *, lead(t) OVER (PARTITION BY stream, breaker_name ORDER BY t, seq) AS ended FROM found WHERE event = 'risk.circuit_breaker.state_change'),
    others AS (SELECT *, NULL::BIGINT AS ended FROM found WHERE event NOT IN ('risk.trading_state_change', 'risk.circuit_breaker.state_change')),
    told AS (SELECT * FROM states WHERE trading IS DISTINCT FROM 'ACTIVE'
      UNION ALL SELECT * FROM openings WHERE breaker IN ('OPEN', 'FORCED_OPEN', 'DISABLED')
      UNION ALL SELECT * FROM others WHERE event <> 'alert.raised' OR upper(alert) IN ('CRITICAL', 'EMERGENCY', 'FATAL'))
    SELECT * FROM told WHERE record_id IS NULL OR record_id NOT IN (SELECT cause_record_id FROM states WHERE trading IS DISTINCT FROM 'ACTIVE' AND cause_record_id IS NOT NULL)`;
}

/** The newest incidents of the range, with their explanations, and how many more there are. */
export async function readIncidents(
  source: PageSource,
  scope: Scope,
): Promise<{ incidents: readonly Incident[]; leftOut: number }> {
  const all = incidentsSql(scope);
  const { rows } = await source.sql(
    `SELECT event, t, body, scope, actor, reason, record_id, trading, breaker, breaker_name, ended, count(*) OVER () FROM (${all})
     ORDER BY t DESC, stream, seq DESC LIMIT ${MAX_INCIDENTS}`,
  );
  const ids = rows.flatMap((row) => (row[6] === null || row[6] === undefined ? [] : [String(row[6])]));
  const explained = new Map((await source.explainMany(ids)).map((one, at) => [ids[at]!, one]));
  const incidents = rows.map(([event, t, body, where, actor, , id, trading, breaker, name, ended]): Incident => {
    const [what, gravity] = named(String(event), trading, breaker);
    const lasts = event === 'risk.trading_state_change' || event === 'risk.circuit_breaker.state_change';
    const explanation = id === null ? undefined : explained.get(String(id));
    return {
      ms: msOf(t),
      what,
      gravity,
      scope: name === null || name === undefined ? ((where as string | null) ?? null) : `breaker ${name}`,
      by: (actor as string | null) ?? null,
      text: String(body ?? ''),
      recordId: id === null || id === undefined ? null : String(id),
      lastedMs: lasts && ended !== null && ended !== undefined ? msOf(ended) - msOf(t) : null,
      ongoing: lasts && (ended === null || ended === undefined),
      answer: explanation?.answer ?? null,
      steps: explanation?.steps ?? [],
    };
  });
  return { incidents, leftOut: Math.max(0, Number(rows[0]?.[11] ?? 0) - incidents.length) };
}

function named(event: string, trading: unknown, breaker: unknown): readonly [string, Gravity] {
  if (event === 'risk.trading_state_change') {
    return trading === 'HALTED'
      ? ['Trading halted', 'halted']
      : [`Trading ${String(trading).toLowerCase()}`, 'caution'];
  }
  if (event === 'risk.circuit_breaker.state_change' && breaker === 'DISABLED')
    return ['Breaker switched off', 'caution'];
  return NAMES[event] ?? [event, 'notice'];
}
