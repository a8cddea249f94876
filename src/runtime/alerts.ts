/**
 * Alert rules in a running trail: events go past the evaluator as they are recorded, and what it tells becomes `alert.*`
 * events, notices to a webhook and calls of a callback.
 */
import { context, ROOT_CONTEXT } from '@opentelemetry/api';
import { AlertEvaluator, type AlertTransition } from '../alerting/evaluator.ts';
import type { AlertRecord } from '../alerting/open-alerts.ts';
import { applySettings, readRules } from '../alerting/read-rules.ts';
import type { AlertEvent, AlertRule } from '../alerting/rule.ts';
import { seriesKey } from '../alerting/series.ts';
import { alertText } from '../alerting/text.ts';
import { type CatalogEvent, catalogEvent } from '../catalog/events.ts';
import type { Clock } from '../core/clock.ts';
import { createUuidV7 } from '../core/uuid.ts';
import type { EventObserver } from '../telemetry/emitter.ts';
import type { AlertActs } from './alert-acts.ts';
import type { AlertAct, AlertNotice, AlertsOptions, TrailAlerts } from './alerts-types.ts';
import { type DeliveryStats, Webhook } from './alerts-webhook.ts';
import { loadSettingsFile } from './settings-file.ts';

/** What alerts are made of. */
export interface AlertsHost {
  readonly options: AlertsOptions;
  /** As {@link loadAlertRules} gives them. */
  readonly rules: readonly AlertRule[];
  readonly service: string;
  readonly clock: Clock;
  /** Alerts of the trail, as an earlier process left them. */
  readonly left: readonly AlertRecord[];
  /** What people do about alerts beside this process; undefined where nobody can. */
  readonly acts: AlertActs | undefined;
  /** Time between two reports of the trail's own health to the rules; 0 for none. */
  readonly healthIntervalMs: number;
  /** Records an event; never throws. */
  emit(event: CatalogEvent): string | undefined;
  report(error: unknown, where: string): void;
  warn(error: unknown, where: string): void;
  /** Attributes of `audit.health` as of now; undefined where nothing is known. */
  health(): Readonly<Record<string, unknown>> | undefined;
}

/** Who resolves an alert whose condition holds no longer. */
const ACTOR = 'alert_rules';
/** How often what is due by time alone is looked for. */
const TICK_MS = 1000;
const LAST_DELIVERY_MS = 500;
/** Alerts of before a restart that are gone on with. */
const MAX_RESTORED = 1000;
const MAX_EARLY = 1000;

/** Attributes of a group that an event about an alert has of its own, besides `alert.group`. */
const CARRIED = ['trading.symbol', 'trading.account.id', 'trading.strategy.id', 'trading.venue', 'risk.scope'] as const;

/**
 * The rules that are to run.
 * @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN, SETTINGS_FILE_UNREADABLE
 */
export async function loadAlertRules({ rules, file }: AlertsOptions): Promise<readonly AlertRule[]> {
  const all = readRules(rules);
  if (file === undefined) return all;
  const { name, values } = await loadSettingsFile(file);
  return applySettings(all, values, name);
}

export class RunningAlerts implements TrailAlerts {
  readonly rules: readonly AlertRule[];
  readonly #host: AlertsHost;
  readonly #evaluator: AlertEvaluator;
  readonly #webhook: Webhook | undefined;
  readonly #newId = createUuidV7();
  /** Open alerts, and such as a person ended while their condition holds, by the key of their group. */
  readonly #alerts = new Map<string, AlertRecord>();
  readonly #timers: NodeJS.Timeout[] = [];
  #state: 'new' | 'running' | 'ended' = 'new';
  /** Events of before {@link start}. */
  readonly #early: AlertEvent[] = [];

  constructor(host: AlertsHost) {
    this.#host = host;
    this.rules = host.rules.filter((rule) => !isOfOwnLife(rule));
    this.#evaluator = new AlertEvaluator(this.rules);
    const { webhook } = host.options;
    if (webhook !== undefined) {
      this.#webhook = new Webhook(typeof webhook === 'string' ? { url: webhook } : webhook, {
        onRetry: (error) => host.warn(error, 'alert webhook'),
        onFailed: (notice, error) => this.#deliveryFailed(notice, error, 'webhook'),
      });
    }
  }

  /** Goes on with what an earlier process left, and begins to look at time. */
  start(): void {
    const now = this.#host.clock.now();
    for (const alert of this.#host.left) this.#guard(() => this.#restore(alert, now));
    this.#state = 'running';
    for (const event of this.snapshots()) this.#host.emit(event);
    for (const event of this.#early.splice(0)) this.#take(event);
    this.#every(TICK_MS, () => this.#tell(this.#evaluator.advance(this.#host.clock.now())));
    this.#every(TICK_MS, () => void this.lookForActs());
    this.#every(this.#host.healthIntervalMs, () => this.#observeHealth());
  }

  /** Takes over what people did about alerts by the command line or the REST server. Never rejects. */
  async lookForActs(): Promise<void> {
    const { acts, report } = this.#host;
    try {
      for (const { id, status, by } of (await acts?.look()) ?? []) this.#change(id, status, by);
    } catch (error) {
      report(error, 'alert acts');
    }
  }

  /** Takes an event that was recorded. Never throws. */
  readonly observe: EventObserver = (name, severityNumber, timeMs, attributes) => {
    if (!this.#evaluator.concerns(name, severityNumber) && this.#evaluator.dueMs > timeMs) return;
    if (this.#state === 'ended') return;
    const recordId = attributes['audit.record.id'];
    const { service } = this.#host;
    this.#take({
      ...{ name, severityNumber, timeMs, service, attributes },
      recordId: typeof recordId === 'string' ? recordId : '',
    });
  };

  #take(event: AlertEvent): void {
    if (this.#state === 'new') {
      // What an earlier process left is not known yet: it must not be raised again.
      if (this.#early.length < MAX_EARLY) this.#early.push(event);
      return;
    }
    this.#guard(() => this.#tell(this.#evaluator.observe(event, this.#host.clock.now())));
  }

  open(): readonly AlertRecord[] {
    return [...this.#alerts.values()].filter(({ status }) => status === 'ACTIVE' || status === 'ACKNOWLEDGED');
  }

  get delivery(): DeliveryStats | undefined {
    return this.#webhook?.stats();
  }

  /** State for a restart, as an event. */
  snapshots(): readonly CatalogEvent[] {
    // What stands is not known before.
    if (this.#state === 'new') return [];
    const alerts = [...this.#alerts.values()].filter(({ status }) => status !== 'RESOLVED');
    return [catalogEvent('alert.snapshot', { 'alert.open': { alerts } })];
  }

  acknowledge(id: string, act: AlertAct): boolean {
    return this.#act(id, act, 'ACKNOWLEDGED');
  }

  resolve(id: string, act: AlertAct): boolean {
    return this.#act(id, act, 'RESOLVED');
  }

  dismiss(id: string, act: AlertAct): boolean {
    return this.#act(id, act, 'DISMISSED');
  }

  /** No event is looked at any more. */
  end(): void {
    this.#state = 'ended';
    for (const timer of this.#timers) clearInterval(timer);
  }

  /** {@link end}, and a moment for notices on their way. Never rejects. */
  async stop(): Promise<void> {
    this.end();
    await this.#webhook?.stop(LAST_DELIVERY_MS);
  }

  #restore(alert: AlertRecord, now: number): void {
    const rule = this.rules.find(({ id }) => id === alert.rule);
    // A rule that no longer runs resolves nothing: its alerts are a person's to end.
    if (rule === undefined || this.#alerts.size >= MAX_RESTORED) return;
    const isOpen = alert.status === 'ACTIVE' || alert.status === 'ACKNOWLEDGED';
    if (!isOpen && (alert.status !== 'DISMISSED' || alert.changedMs <= now - rule.windowMs)) return;
    const { service } = this.#host;
    this.#evaluator.restore(rule.id, service, alert.group, isOpen ? 'firing' : 'closed', now);
    this.#alerts.set(keyOf(rule, service, alert), alert);
  }

  #tell(transitions: readonly AlertTransition[]): void {
    for (const transition of transitions) {
      this.#guard(() => (transition.kind === 'raised' ? this.#raise(transition) : this.#end(transition)));
    }
  }

  #raise(transition: AlertTransition): void {
    const { rule, group, timeMs, value, events, key, service } = transition;
    const { title, message } = alertText(rule, transition);
    const alert: AlertRecord = {
      id: this.#newId(timeMs),
      rule: rule.id,
      service,
      group,
      status: 'ACTIVE',
      title,
      type: rule.type,
      severity: rule.severity,
      raisedMs: timeMs,
      changedMs: timeMs,
    };
    this.#alerts.set(key, alert);
    const newest = events.at(-1);
    this.#host.emit(
      catalogEvent('alert.raised', {
        ...this.#attributes(alert, rule),
        'alert.id': alert.id,
        'alert.type': rule.type,
        'alert.severity': rule.severity,
        'alert.title': title,
        'alert.message': message,
        'alert.events': events,
        'alert.runbook': rule.runbook,
        ...(value === undefined ? {} : { 'alert.value': value }),
        ...(rule.condition.is === 'in' ? {} : { 'alert.threshold': rule.condition.threshold }),
        ...(newest === undefined ? {} : { 'risk.cause.record_id': newest }),
      }),
    );
    this.#notify('raised', alert, transition, message);
  }

  #end(transition: AlertTransition): void {
    const { key, rule, value } = transition;
    const alert = this.#alerts.get(key);
    if (alert === undefined) return;
    this.#alerts.delete(key);
    const { message } = alertText(rule, transition);
    this.#host.emit(
      catalogEvent('alert.resolved', {
        ...this.#attributes({ ...alert, status: 'RESOLVED' }, rule),
        'alert.id': alert.id,
        'risk.actor': ACTOR,
        ...(value === undefined ? {} : { 'alert.value': value }),
      }),
    );
    this.#notify('resolved', alert, transition, message);
  }

  #act(id: string, { actor, reason }: AlertAct, status: 'ACKNOWLEDGED' | 'RESOLVED' | 'DISMISSED'): boolean {
    const found = this.#change(id, status, { actor, note: reason });
    if (found === undefined) return false;
    const name = {
      ACKNOWLEDGED: 'alert.acknowledged',
      RESOLVED: 'alert.resolved',
      DISMISSED: 'alert.dismissed',
    } as const;
    this.#host.emit(
      catalogEvent(name[status], {
        ...this.#attributes(found.changed, found.rule),
        'alert.id': id,
        'risk.actor': actor,
        'alert.note': reason,
      }),
    );
    return true;
  }

  /** @returns undefined where no such alert is open */
  #change(
    id: string,
    status: AlertRecord['status'],
    by: Pick<AlertRecord, 'actor' | 'note'>,
  ): { changed: AlertRecord; rule: AlertRule } | undefined {
    const found = [...this.#alerts].find(([, alert]) => alert.id === id);
    if (found === undefined) return undefined;
    const [key, alert] = found;
    const rule = this.rules.find((one) => one.id === alert.rule);
    if (rule === undefined || (alert.status !== 'ACTIVE' && alert.status !== 'ACKNOWLEDGED')) return undefined;
    const changed: AlertRecord = { ...alert, status, changedMs: this.#host.clock.now(), ...by };
    this.#alerts.set(key, changed);
    if (status !== 'ACKNOWLEDGED') this.#evaluator.close(key);
    return { changed, rule };
  }

  #attributes(alert: AlertRecord, rule: AlertRule) {
    const carried = CARRIED.flatMap((name) => {
      const value = alert.group[name];
      return value === undefined || value === '' ? [] : [[name, value] as const];
    });
    return {
      'alert.rule': rule.id,
      'alert.status': alert.status,
      'alert.title': alert.title,
      'alert.group': alert.group,
      ...Object.fromEntries(carried),
    };
  }

  #notify(status: AlertNotice['status'], alert: AlertRecord, transition: AlertTransition, message: string): void {
    const { rule, value, events, timeMs, group, service } = transition;
    const notice: AlertNotice = Object.freeze({
      ...{ status, id: alert.id, rule: rule.id, type: rule.type, severity: rule.severity },
      ...{ title: alert.title, message, service, group },
      ...(value === undefined ? {} : { value }),
      ...(rule.condition.is === 'in' ? {} : { threshold: rule.condition.threshold }),
      ...{ events, time: new Date(timeMs).toISOString() },
      ...{ topic: rule.topic, runbook: rule.runbook, dashboard: rule.dashboard },
    });
    // Out of the active span: a request of ours is no part of the trade that brought it about.
    context.with(ROOT_CONTEXT, () => {
      this.#webhook?.send(notice);
      const { onAlert } = this.#host.options;
      if (onAlert === undefined) return;
      // A moment later: what it does or how long it takes is not to be felt where the event came from.
      setImmediate(async () => {
        try {
          await onAlert(notice);
        } catch (error) {
          this.#deliveryFailed(notice, error, 'callback');
        }
      });
    });
  }

  #deliveryFailed(notice: AlertNotice, error: unknown, channel: string): void {
    this.#host.report(error, `alert ${channel}`);
    if (this.#state === 'ended') return;
    this.#host.emit(
      catalogEvent('alert.delivery_failed', {
        'alert.id': notice.id,
        'alert.rule': notice.rule,
        'alert.channel': channel,
        'error.message': error instanceof Error ? error.message : String(error),
      }),
    );
  }

  #observeHealth(): void {
    const attributes = this.#host.health();
    if (attributes === undefined) return;
    const { service, clock } = this.#host;
    this.#take({ name: 'audit.health', severityNumber: 9, timeMs: clock.now(), recordId: '', service, attributes });
  }

  #guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#host.report(error, 'alerts');
    }
  }

  #every(intervalMs: number, act: () => void): void {
    if (intervalMs === 0) return;
    context.with(ROOT_CONTEXT, () => {
      const timer = setInterval(() => this.#guard(act), intervalMs);
      timer.unref();
      this.#timers.push(timer);
    });
  }
}

/** A process that is dead tells nobody: that is for those who look at it from outside. */
function isOfOwnLife({ measure }: AlertRule): boolean {
  return measure.kind === 'absence' && measure.of.some(({ events }) => events?.includes('audit.health'));
}

/** The key under which the evaluator knows the group of an alert. */
function keyOf(rule: AlertRule, service: string, { group }: AlertRecord): string {
  const values = rule.groupBy.map(({ attribute, or }) => [attribute, group[attribute] ?? or ?? ''] as const);
  return seriesKey(rule.id, service, Object.fromEntries(values));
}
