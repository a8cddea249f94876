/** Alerts as the events of a trail tell them: which stand open at its end. */
import type { GroupValues } from './rule.ts';

/** An alert that was raised. */
export interface AlertRecord {
  readonly id: string;
  readonly rule: string;
  readonly service: string;
  readonly group: GroupValues;
  readonly status: 'ACTIVE' | 'ACKNOWLEDGED' | 'RESOLVED' | 'DISMISSED';
  readonly title: string;
  readonly type: string;
  readonly severity: string;
  readonly raisedMs: number;
  /** When its status changed last. */
  readonly changedMs: number;
  /** Who changed it last, and the note of a person. */
  readonly actor?: string;
  readonly note?: string;
}

/** An event about an alert, as a trail holds it. */
export interface AlertRecordEvent {
  readonly name: string;
  readonly service: string;
  readonly timeMs: number;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** Events by which an alert's status changes, and to which. */
export const ACT_STATUS: Readonly<Record<string, AlertRecord['status']>> = {
  'alert.acknowledged': 'ACKNOWLEDGED',
  'alert.resolved': 'RESOLVED',
  'alert.dismissed': 'DISMISSED',
};

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

/** Who did what an event about an alert tells, and the note of a person. */
export function byWhom(attributes: AlertRecordEvent['attributes']): Pick<AlertRecord, 'actor' | 'note'> {
  const actor = textOf(attributes['risk.actor']);
  const note = textOf(attributes['alert.note']);
  return { ...(actor === '' ? {} : { actor }), ...(note === '' ? {} : { note }) };
}

/** Ended alerts that are remembered: the newest, so that memory is bounded however long the trail. */
const KEPT_ENDED = 1000;

/** Folds the events of alerts, in the order of time, whichever stream they stand in. */
export class AlertFold {
  readonly #alerts = new Map<string, AlertRecord>();

  apply({ name, service, timeMs, attributes }: AlertRecordEvent): void {
    const id = textOf(attributes['alert.id']);
    if (id === '') return;
    if (name === 'alert.raised') {
      const group = attributes['alert.group'];
      this.#alerts.set(id, {
        id,
        rule: textOf(attributes['alert.rule']),
        service,
        group: typeof group === 'object' && group !== null ? (group as GroupValues) : {},
        status: 'ACTIVE',
        title: textOf(attributes['alert.title']),
        type: textOf(attributes['alert.type']),
        severity: textOf(attributes['alert.severity']),
        raisedMs: timeMs,
        changedMs: timeMs,
      });
      if (this.#alerts.size > 2 * KEPT_ENDED) this.#forget();
      return;
    }
    const status = ACT_STATUS[name];
    const alert = this.#alerts.get(id);
    if (status === undefined || alert === undefined) return;
    // What has ended is not taken note of any more.
    if (status === 'ACKNOWLEDGED' && alert.status !== 'ACTIVE') return;
    this.#alerts.set(id, { ...alert, status, changedMs: timeMs, ...byWhom(attributes) });
  }

  /** Every alert that is remembered, oldest first. */
  all(): readonly AlertRecord[] {
    return [...this.#alerts.values()];
  }

  /** Raised, and neither resolved nor dismissed. */
  open(): readonly AlertRecord[] {
    return this.all().filter(({ status }) => status === 'ACTIVE' || status === 'ACKNOWLEDGED');
  }

  #forget(): void {
    let excess = this.#alerts.size - KEPT_ENDED;
    for (const [id, { status }] of this.#alerts) {
      if (excess <= 0) return;
      if (status !== 'RESOLVED' && status !== 'DISMISSED') continue;
      this.#alerts.delete(id);
      excess--;
    }
  }
}
