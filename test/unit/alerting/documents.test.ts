import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ALERT_PANELS } from '../../../grafana/src/alert-panels.ts';
import { generatedAlertFiles } from '../../../scripts/generate-alerts.ts';
import { durationText, measureLogql, ruleLogql } from '../../../src/alerting/render/logql.ts';
import { ALERT_RULES } from '../../../src/alerting/rules.ts';
import { readDashboards } from '../../support/dashboards.ts';

const DASHBOARDS = readDashboards();
const files = generatedAlertFiles();
const document = (path: string) => parse(files.get(path)!);

interface GrafanaRule {
  readonly uid: string;
  readonly title: string;
  readonly condition: string;
  readonly for: string;
  readonly noDataState: string;
  readonly dashboardUid: string;
  readonly panelId: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly data: readonly {
    readonly refId: string;
    readonly datasourceUid: string;
    readonly relativeTimeRange: { readonly from: number; readonly to: number };
    readonly model: Readonly<Record<string, unknown>>;
  }[];
}

describe('the provisioning file of Grafana', () => {
  const rules: readonly GrafanaRule[] = document('grafana/provisioning/alerting/risktrail.yaml').groups.flatMap(
    ({ rules: of }: { rules: GrafanaRule[] }) => of,
  );

  it('has every rule once, with an id that stays', () => {
    expect(rules.map(({ labels }) => labels['rule']).sort()).toEqual(ALERT_RULES.map(({ id }) => id).sort());
    expect(new Set(rules.map(({ uid }) => uid)).size).toBe(rules.length);
    expect(rules.filter(({ uid }) => !/^[a-zA-Z0-9_-]{1,40}$/.test(uid))).toEqual([]);
  });

  it('has for each a query, its last value, a threshold on it, a range, a duration, and no alarm where nothing is counted', () => {
    for (const rule of rules) {
      const [query, value, threshold] = rule.data;
      expect(query).toMatchObject({ refId: 'A', datasourceUid: 'loki', model: { queryType: 'instant' } });
      expect(query!.relativeTimeRange.from).toBeGreaterThan(0);
      expect(value).toMatchObject({
        refId: 'B',
        datasourceUid: '__expr__',
        model: { type: 'reduce', reducer: 'last', expression: 'A' },
      });
      expect(threshold).toMatchObject({
        refId: 'C',
        datasourceUid: '__expr__',
        model: { type: 'threshold', expression: 'B' },
      });
      expect([rule.condition, rule.noDataState]).toEqual(['C', 'OK']);
      expect(rule.for).toMatch(/^\d+(s|m|h)$/);
      expect(Object.keys(rule.annotations)).toEqual([
        ...['summary', 'description', 'runbook', '__dashboardUid__', '__panelId__'],
      ]);
    }
  });

  it('leads from each alert to the panel that shows what it measures', () => {
    expect(Object.keys(ALERT_PANELS).sort()).toEqual(ALERT_RULES.map(({ id }) => id).sort());
    const shown = rules.map(({ labels, annotations, dashboardUid, panelId }) => {
      const { __dashboardUid__: uid, __panelId__: id } = annotations;
      expect([dashboardUid, String(panelId)]).toEqual([uid, id]);
      const dashboard = DASHBOARDS.find((one) => one.uid === uid);
      return [labels['rule'], dashboard?.panels.find((panel) => String(panel.id) === id)?.title];
    });
    expect(Object.fromEntries(shown)).toEqual(ALERT_PANELS);
  });

  it('links to the runbooks where it is told where they can be read', () => {
    const made = generatedAlertFiles(undefined, 'https://docs.example/risktrail');
    for (const path of ['grafana/provisioning/alerting/risktrail.yaml', 'grafana/alerting/loki-rules.yaml']) {
      const [group] = parse(made.get(path)!).groups as { rules: GrafanaRule[] }[];
      const { runbook, runbook_url: url } = group!.rules[0]!.annotations;
      expect([runbook, url]).toEqual([undefined, 'https://docs.example/risktrail/runbooks/trading-halted.md']);
    }
  });

  it('has no dollar where Grafana would read the environment', () => {
    for (const { title, labels } of rules) expect(JSON.stringify({ title, labels })).not.toContain('$');
  });
});

describe('the contact points', () => {
  it('need nothing by default, and take addresses from the environment', () => {
    expect(document('grafana/contact-points/none.yaml')).toEqual({ apiVersion: 1 });
    expect(files.get('grafana/provisioning/alerting/contact-point.yaml')).toBe(
      files.get('grafana/contact-points/none.yaml'),
    );
    const webhook = document('grafana/contact-points/webhook.yaml');
    expect(webhook.contactPoints[0].receivers[0].settings.url).toBe('$ALERT_WEBHOOK_URL');
    expect(document('grafana/contact-points/email.yaml').contactPoints[0].receivers[0].settings.addresses).toBe(
      '$ALERT_EMAIL',
    );
    for (const route of webhook.policies) expect(route.receiver).toBe(webhook.contactPoints[0].name);
  });
});

describe('LogQL', () => {
  const rule = (id: string) => ALERT_RULES.find((one) => one.id === id)!;

  it('groups by the labels that attributes become', () => {
    expect(measureLogql(rule('order_outcome_unknown'), { streams: '{service_name="bot"}' })).toBe(
      'sum by (service_name, trading_symbol) (count_over_time({service_name="bot", event_family="order"} | event_name="order.outcome_unknown" [15m]))',
    );
  });

  it('reads the families of a rule’s events alone, and of any event those that are as grave', () => {
    const selectors = (id: string) =>
      [...measureLogql(rule(id)).matchAll(/\{service_name[^}]*\}/g)].map(([one]) => one);
    expect(selectors('limit_near')).toEqual(['{service_name=~".+", event_family=~"risk|risk[.]portfolio_limit"}']);
    expect(new Set(selectors('rejection_rate'))).toEqual(new Set(['{service_name=~".+", event_family="order"}']));
    expect(selectors('errors_per_hour')).toEqual(['{service_name=~".+", event_family!="alert", event_grave="yes"}']);
    expect(new Set(selectors('no_heartbeat'))).toEqual(
      new Set(['{service_name=~".+", event_family=~"audit|system"}', '{service_name=~".+", event_family="system"}']),
    );
    const info = { ...rule('errors_per_hour'), measure: { kind: 'count', of: [{ minSeverity: 'INFO' }] } } as const;
    expect(measureLogql(info)).toContain('{service_name=~".+", event_family!="alert"}');
    const mine = { ...info, measure: { kind: 'count', of: [{ events: ['my.own', 'order.placed'] }] } } as const;
    expect(measureLogql(mine)).toContain('{service_name=~".+", event_family=~"order|other"}');
  });

  it('is silent where a halt is told', () => {
    const query = ruleLogql(rule('errors_per_hour'), ALERT_RULES);
    expect(query).toContain(') > 10) unless on (service_name) ((last_over_time(');
    expect(query).toContain('event_name!~"alert[.].*"');
    expect(ruleLogql(rule('trading_halted'), ALERT_RULES)).not.toContain('unless');
  });

  it('writes durations in the largest unit that fits', () => {
    expect([0, 1500, 2000, 90_000, 300_000, 86_400_000].map(durationText)).toEqual([
      '0s',
      '1500ms',
      '2s',
      '90s',
      '5m',
      '24h',
    ]);
  });
});
