/** Rules as the files that Loki's ruler and Grafana read. Plain objects: whoever writes them makes YAML of them. */
import type { AlertRule } from '../rule.ts';
import { fillTemplate, formatDuration, formatThreshold, type TEMPLATE_NAMES } from '../text.ts';
import { durationText, type LogqlOptions, labelOf, ruleLogql, SERVICE_LABEL, shownLogql } from './logql.ts';

/** How the files are made. */
export interface DocumentOptions extends LogqlOptions {
  /** How often rules are evaluated. @default 60_000 */
  readonly intervalMs?: number;
  /** Where `docs/` can be read, as an address: then alerts link to their runbooks. @default none: they name the file */
  readonly docsUrl?: string | undefined;
  /** Of Grafana alone: ids of the panels that alerts link to, by rule. @default none: they name the dashboard */
  readonly panels?: ReadonlyMap<string, number>;
}

const INTERVAL_MS = 60_000;
/** Of the Loki data source, as provisioned. */
const DATA_SOURCE = 'loki';
const MINUTE_SECONDS = 60;

/** `trading_halted` → `Trading halted` */
export function ruleName({ id }: AlertRule): string {
  const words = id.replaceAll('_', ' ');
  return `${words[0]!.toUpperCase()}${words.slice(1)}`;
}

/** A value in the template language of alerts. @param value how the value is had there */
function valueTemplate({ unit }: AlertRule, value: string): string {
  switch (unit) {
    case 'ratio':
      return `{{ ${value} | humanizePercentage }}`;
    case 'bytes':
      return `{{ ${value} | humanize1024 }}B`;
    case 's':
      return `{{ ${value} | humanizeDuration }}`;
    case 'percent':
      return `{{ ${value} | printf "%.3g" }} %`;
    case 'ms':
      return `{{ ${value} | printf "%.0f" }} ms`;
    default:
      return `{{ ${value} }}`;
  }
}

function sentence(template: string, rule: AlertRule, value: string): string {
  const own: Readonly<Record<(typeof TEMPLATE_NAMES)[number], string>> = {
    value: valueTemplate(rule, value),
    threshold: formatThreshold(rule),
    window: formatDuration(rule.windowMs),
    for: formatDuration(rule.forMs),
    service: `{{ $labels.${SERVICE_LABEL} }}`,
  };
  return fillTemplate(template, (name) => own[name as 'value'] ?? `{{ $labels.${labelOf(name)} }}`);
}

const dashboardUid = ({ dashboard }: AlertRule): string => `risktrail-${dashboard}`;

/** @param dashboard how the dashboard is named: a link in Grafana is another than in a notification */
function annotations(
  rule: AlertRule,
  value: string,
  { docsUrl }: DocumentOptions,
  dashboard: Readonly<Record<string, string>> = { dashboard: `/d/${dashboardUid(rule)}` },
): Readonly<Record<string, string>> {
  const page = `runbooks/${rule.runbook}.md`;
  return {
    summary: sentence(rule.title, rule, value),
    description: sentence(rule.description, rule, value),
    // By this name it is a button in Grafana, and a link in what Alertmanager sends.
    ...(docsUrl === undefined
      ? { runbook: `docs/${page}` }
      : { runbook_url: `${docsUrl}${docsUrl.endsWith('/') ? '' : '/'}${page}` }),
    ...dashboard,
  };
}

const labels = ({ id, type, severity, topic }: AlertRule) => ({ rule: id, type, severity, topic });

function byTopic(rules: readonly AlertRule[]): readonly (readonly [string, readonly AlertRule[]])[] {
  const topics = [...new Set(rules.map(({ topic }) => topic))];
  return topics.map((topic) => [topic, rules.filter((rule) => rule.topic === topic)] as const);
}

/** A file of Loki's ruler: rules in groups by topic. */
export function lokiRules(rules: readonly AlertRule[], options: DocumentOptions = {}): object {
  return {
    groups: byTopic(rules).map(([topic, of]) => ({
      name: `risktrail-${topic}`,
      interval: durationText(options.intervalMs ?? INTERVAL_MS),
      rules: of.map((rule) => ({
        alert: rule.id,
        expr: ruleLogql(rule, rules, options),
        for: durationText(rule.forMs),
        labels: labels(rule),
        annotations: annotations(rule, '$value', options),
      })),
    })),
  };
}

/** Grafana's names of comparisons that have a bound of their own, and how an inclusive one is brought to it. */
function threshold({ condition }: AlertRule): { readonly type: string; readonly params: readonly number[] } {
  // Other states are no part of the query's answer.
  if (condition.is === 'in') return { type: 'gt', params: [Math.min(...condition.values) - 1] };
  const type = { '>': 'gt', '>=': 'gte', '<': 'lt', '<=': 'lte' }[condition.is];
  return { type, params: [condition.threshold] };
}

/** A provisioning file of Grafana: the same rules over the data source `loki`. */
export function grafanaRules(rules: readonly AlertRule[], options: DocumentOptions = {}): object {
  return {
    apiVersion: 1,
    groups: byTopic(rules).map(([topic, of]) => ({
      orgId: 1,
      name: topic,
      folder: 'risktrail',
      interval: durationText(options.intervalMs ?? INTERVAL_MS),
      rules: of.map((rule) => grafanaRule(rule, rules, options)),
    })),
  };
}

function grafanaRule(rule: AlertRule, rules: readonly AlertRule[], options: DocumentOptions): object {
  const expr = shownLogql(rule, rules, options);
  const { type, params } = threshold(rule);
  const panel = options.panels?.get(rule.id);
  const uid = dashboardUid(rule);
  const range = Math.max(Math.ceil(rule.windowMs / 1000), MINUTE_SECONDS);
  return {
    uid: `risktrail-${rule.id.replaceAll('_', '-')}`,
    title: ruleName(rule),
    condition: 'C',
    data: [
      {
        refId: 'A',
        relativeTimeRange: { from: range, to: 0 },
        datasourceUid: DATA_SOURCE,
        model: {
          refId: 'A',
          datasource: { type: 'loki', uid: DATA_SOURCE },
          editorMode: 'code',
          expr,
          queryType: 'instant',
        },
      },
      // Not every version takes the answer of an instant query for a number, and none compares a series.
      {
        refId: 'B',
        relativeTimeRange: { from: 0, to: 0 },
        datasourceUid: '__expr__',
        model: {
          refId: 'B',
          datasource: { type: '__expr__', uid: '__expr__' },
          type: 'reduce',
          reducer: 'last',
          expression: 'A',
        },
      },
      {
        refId: 'C',
        relativeTimeRange: { from: 0, to: 0 },
        datasourceUid: '__expr__',
        model: {
          refId: 'C',
          datasource: { type: '__expr__', uid: '__expr__' },
          type: 'threshold',
          expression: 'B',
          conditions: [{ evaluator: { type, params } }],
        },
      },
    ],
    // Where nothing is counted there is no series: nothing happened.
    noDataState: 'OK',
    execErrState: 'Error',
    for: durationText(rule.forMs),
    // Links are made of the annotations; the fields are what the panel itself shows the alert's state by.
    ...(panel === undefined ? {} : { dashboardUid: uid, panelId: panel }),
    annotations: annotations(
      rule,
      '$values.B.Value',
      options,
      panel === undefined ? undefined : { __dashboardUid__: uid, __panelId__: String(panel) },
    ),
    labels: labels(rule),
    isPaused: false,
  };
}

/** Who is told by Grafana. */
export const CONTACTS = ['none', 'webhook', 'email'] as const;
export type Contact = (typeof CONTACTS)[number];

/** A provisioning file of Grafana with the contact point and the routes to it; addresses come from the environment. */
export function grafanaContact(contact: Contact): object {
  // Nothing set up, nothing needed: alerts are seen in Grafana.
  if (contact === 'none') return { apiVersion: 1 };
  const receiver =
    contact === 'webhook'
      ? { type: 'webhook', settings: { url: '$ALERT_WEBHOOK_URL', httpMethod: 'POST' } }
      : { type: 'email', settings: { addresses: '$ALERT_EMAIL', singleEmail: true } };
  return {
    apiVersion: 1,
    contactPoints: [
      {
        orgId: 1,
        name: 'risktrail',
        receivers: [{ uid: `risktrail-${contact}`, disableResolveMessage: false, ...receiver }],
      },
    ],
    policies: [
      {
        orgId: 1,
        receiver: 'risktrail',
        group_by: [SERVICE_LABEL, 'topic'],
        group_wait: '10s',
        group_interval: '1m',
        repeat_interval: '4h',
        routes: [
          {
            receiver: 'risktrail',
            object_matchers: [['severity', '=', 'IMMEDIATE']],
            group_by: [SERVICE_LABEL, 'topic'],
            group_wait: '0s',
            group_interval: '10s',
            repeat_interval: '1h',
          },
        ],
      },
    ],
  };
}
