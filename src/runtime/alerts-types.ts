/** Alerts of a running trail, as its service sees them. */
import type { AlertRecord } from '../alerting/open-alerts.ts';
import type { AlertRule, AlertStatement } from '../alerting/rule.ts';
import { boolean, type Check, func, list, object, readOptions, string } from '../core/options.ts';
import { type DeliveryStats, WEBHOOK_CHECK, type WebhookOptions } from './alerts-webhook.ts';

/** What a webhook and a callback are told. */
export interface AlertNotice extends AlertStatement {
  readonly status: 'raised' | 'resolved';
  readonly id: string;
  /** Absent where nothing is left to be measured. */
  readonly value?: number;
  /** Absent where the rule compares with states. */
  readonly threshold?: number;
  /** ISO 8601. */
  readonly time: string;
  readonly topic: string;
  readonly runbook: string;
  readonly dashboard: string;
}

/** How alerts run. */
export interface AlertsOptions {
  /** Rules of one's own, beside those of risktrail; one of the same id stands in its place. */
  readonly rules?: readonly AlertRule[];
  /** File with thresholds, YAML or JSON. */
  readonly file?: string;
  /** Where each alert is posted: an address, or more about it. */
  readonly webhook?: string | WebhookOptions;
  /** Told of each alert, a moment after it was recorded. What it throws is reported, and harms nobody. Code only. */
  readonly onAlert?: (notice: AlertNotice) => unknown;
}

/** Who ends an alert, and why. */
export interface AlertAct {
  readonly actor: string;
  readonly reason: string;
}

/** The alerts of a running trail. */
export interface TrailAlerts {
  /** The rules that run. */
  readonly rules: readonly AlertRule[];
  /** What is raised and neither resolved nor dismissed, oldest first. */
  open(): readonly AlertRecord[];
  /** Somebody looks at it. @returns whether an alert of that id is open */
  acknowledge(id: string, act: AlertAct): boolean;
  /** Somebody says that it is over. It is raised again only once its condition has not held in between. */
  resolve(id: string, act: AlertAct): boolean;
  /** Somebody says that it is none, with the same effect. */
  dismiss(id: string, act: AlertAct): boolean;
  /** Deliveries to the webhook; absent where there is none. */
  readonly delivery: DeliveryStats | undefined;
}

const OPTIONS = {
  rules: list(object<AlertRule>('a rule')),
  file: string(),
  webhook: {
    expected: 'an http or https address, or { url, headers, timeoutMs, attempts }',
    accepts: (value: unknown): value is string | WebhookOptions => typeof value === 'string' || object().accepts(value),
    read: (value: unknown, field: string) =>
      WEBHOOK_CHECK.read!(typeof value === 'string' ? { url: value } : value, field),
  } satisfies Check<string | WebhookOptions>,
  onAlert: func<(notice: AlertNotice) => unknown>(),
};

/** The setting `alerts`: whether rules run, or how. */
export const ALERTS_CHECK: Check<boolean | AlertsOptions> = {
  expected: 'true, false, or { rules, file, webhook, onAlert }',
  accepts: (value): value is boolean | AlertsOptions => boolean().accepts(value) || object().accepts(value),
  read: (value, field) =>
    typeof value === 'boolean'
      ? value
      : readOptions<AlertsOptions>(field, value, OPTIONS as never, {}, ['rules', 'file', 'webhook', 'onAlert']),
};
