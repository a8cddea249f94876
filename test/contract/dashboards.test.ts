import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { COLOURS } from '../../grafana/src/look.ts';
import { laggingDashboards } from '../../scripts/generate-dashboards.ts';
import { ALERT_RULES } from '../../src/alerting/rules.ts';
import { ATTRIBUTES, BREAKER_STATES, COMMON_ATTRIBUTES, TRADING_STATES } from '../../src/catalog/attributes.ts';
import { EVENTS } from '../../src/catalog/events.ts';
import { FAMILY_LABEL, familiesOf, GRAVE_LABEL } from '../../src/catalog/families.ts';
import { type DashboardFile, type DashboardPanel, readDashboards } from '../support/dashboards.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const DASHBOARDS = readDashboards();
const PANELS = DASHBOARDS.flatMap((dashboard) => dashboard.panels.map((panel) => ({ dashboard, panel })));
/** Panels that show no numbers. */
const WORDS: ReadonlySet<string> = new Set(['logs', 'traces', 'alertlist']);
const QUESTION_OR_NOUN = /^[A-Z][^.!]*[^.!:\s]$/;

const where = (dashboard: DashboardFile, panel: DashboardPanel): string => `${dashboard.file}: ${panel.title}`;
const labelOf = (name: string): string => name.replaceAll('.', '_');
const ATTRIBUTE_LABELS = new Map(Object.keys(ATTRIBUTES).map((name) => [labelOf(name), name]));
/** What a record has in Loki besides attributes, and what queries make themselves. */
const OWN: ReadonlySet<string> = new Set([
  'service_name',
  'event_name',
  FAMILY_LABEL,
  GRAVE_LABEL,
  'trace_id',
  'severity_number',
  'computed',
  '__error__',
  '__timestamp__',
]);
/** The trail gives them to every record. */
const OF_EVERY_RECORD = /^audit_(stream|sequence_number|record_id|integrity_value)$/;

/** Every query of a dashboard, in panels and annotations. */
function queriesOf(dashboard: DashboardFile): readonly string[] {
  return [
    ...dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr, query }) => expr ?? query ?? '')),
    ...dashboard.annotations.list.map(({ expr }) => expr),
  ];
}

const LOGQL_WORDS =
  /^(sum|max|min|avg|count|vector|bool|by|on|or|and|unless|unwrap|label_format|service_name|count_over_time|last_over_time|max_over_time|min_over_time|avg_over_time|sum_over_time|quantile_over_time)$/;

/** Labels that a query names: in filters, groups, unwrap and templates. */
function labelsOf(query: string): ReadonlySet<string> {
  const labels = new Set<string>();
  const templates = [...query.matchAll(/`([^`]*)`/g)].map(([, template]) => template!);
  for (const template of templates) {
    for (const [, label] of template.matchAll(/(?<![\w)])\.(\w+)/g)) labels.add(label!);
  }
  const rest = query
    .replaceAll(/`[^`]*`/g, '')
    .replaceAll(/"[^"]*"/g, '""')
    .replaceAll(/\[[^\]]*\]/g, '');
  for (const [word] of rest.matchAll(/[a-z_][a-z_0-9]*/g)) if (!LOGQL_WORDS.test(word)) labels.add(word);
  return labels;
}

/** Events that a query names; none where it looks at all. */
const eventsOf = (query: string): readonly string[] =>
  [...query.matchAll(/event_name=~?"([^"]+)"/g)].flatMap(([, events]) => events!.replaceAll('[.]', '.').split('|'));

describe('the dashboards', () => {
  it('are as grafana/src has them: run node scripts/generate-dashboards.ts', () => {
    expect(laggingDashboards()).toEqual([]);
    expect(DASHBOARDS.map(({ file }) => file)).toEqual([
      'audit-trail.json',
      'circuit-breakers.json',
      'incident.json',
      'limits.json',
      'orders-and-api.json',
      'safe-to-trade.json',
      'trailing-stops.json',
    ]);
  });

  it('have uids that stay, the tag, and links to each other', () => {
    for (const { file, uid, tags, links, description } of DASHBOARDS) {
      expect(uid).toBe(`risktrail-${file.replace('.json', '')}`);
      expect(tags).toEqual(['risktrail']);
      expect(links).toEqual([expect.objectContaining({ type: 'dashboards', tags: ['risktrail'] })]);
      expect(description.length).toBeGreaterThan(20);
    }
  });

  it('are those that compose opens and that alerts lead to', () => {
    const compose = readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8');
    const home = /GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH: \S*\/(\S+)/.exec(compose)?.[1] ?? '';
    expect(existsSync(join(ROOT, 'grafana/dashboards', home))).toBe(true);
    const uids = DASHBOARDS.map(({ uid }) => uid);
    for (const { dashboard } of ALERT_RULES) expect(uids).toContain(`risktrail-${dashboard}`);
  });

  it('mark halts and trips on every time axis', () => {
    for (const { annotations } of DASHBOARDS) {
      expect(annotations.list.map(({ name }) => name)).toEqual(['Halts', 'Trips']);
    }
  });

  it('tell of every panel what it is, in which unit, and what it means when it is empty', () => {
    expect(PANELS.length).toBeGreaterThan(60);
    for (const { dashboard, panel } of PANELS) {
      const { unit, noValue = '' } = panel.fieldConfig.defaults;
      const told = {
        panel: where(dashboard, panel),
        title: QUESTION_OR_NOUN.test(panel.title) && panel.title.length <= 60,
        described: panel.description.length > 15 && panel.description.endsWith('.'),
        empty: noValue.length > 3 && !/^no data$/i.test(noValue),
        unit: WORDS.has(panel.type) || (unit ?? '') !== '',
      };
      expect(told).toEqual({ panel: told.panel, title: true, described: true, empty: true, unit: true });
    }
  });

  it('have panels with ids of their own that fill rows of 24 columns and do not overlap', () => {
    for (const { panels } of DASHBOARDS) {
      expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
      const rows = Map.groupBy(panels, ({ gridPos }) => gridPos.y);
      for (const row of rows.values()) {
        expect(row.reduce((sum, { gridPos }) => sum + gridPos.w, 0)).toBe(24);
        // A row that is as tall everywhere leaves no hole.
        expect(new Set(row.map(({ gridPos }) => gridPos.h)).size).toBe(1);
      }
    }
  });

  it('ask data sources that are provisioned', () => {
    const file = readFileSync(join(ROOT, 'grafana/provisioning/datasources/risktrail.yaml'), 'utf8');
    const known = (parse(file) as { datasources: { uid: string }[] }).datasources.map(({ uid }) => uid);
    for (const { dashboard, panel } of PANELS) {
      for (const { uid } of [panel.datasource, ...(panel.targets ?? []).map(({ datasource }) => datasource)]) {
        expect([where(dashboard, panel), known.includes(uid)]).toEqual([where(dashboard, panel), true]);
      }
    }
    for (const { annotations, templating } of DASHBOARDS) {
      for (const { datasource } of annotations.list) expect(known).toContain(datasource.uid);
      for (const { datasource } of templating.list)
        if (datasource !== undefined) expect(known).toContain(datasource.uid);
    }
  });

  it('have links that lead to dashboards, with variables that those have', () => {
    const urls = DASHBOARDS.flatMap(({ text }) => [...text.matchAll(/"url": "(\/d\/[^"]+)"/g)].map(([, url]) => url!));
    expect(urls.length).toBeGreaterThan(10);
    for (const url of urls) {
      const target = DASHBOARDS.find(({ uid }) => url.startsWith(`/d/${uid}?`));
      expect([url, target === undefined]).toEqual([url, false]);
      for (const [, name] of url.matchAll(/var-(\w+)=/g)) {
        expect(target!.templating.list.map((variable) => variable.name)).toContain(name);
      }
    }
  });

  it('use every variable that they have, and no other', () => {
    for (const dashboard of DASHBOARDS) {
      const used = new Set(
        queriesOf(dashboard).flatMap((query) =>
          // What a template of Loki's declares is its own.
          [
            ...query
              .replaceAll(/`[^`]*`/g, (template) => template.replaceAll(/\$[mnit]\b/g, ''))
              .matchAll(/\$\{?(\w+)/g),
          ]
            .map(([, name]) => name!)
            .filter((name) => !name.startsWith('__')),
        ),
      );
      expect([dashboard.file, [...used].sort()]).toEqual([
        dashboard.file,
        dashboard.templating.list.map(({ name }) => name).sort(),
      ]);
    }
  });

  it('name events of the catalogue, and attributes that those events carry', () => {
    let named = 0;
    for (const dashboard of DASHBOARDS) {
      for (const query of queriesOf(dashboard).filter((text) => text.includes('service_name'))) {
        const events = eventsOf(query);
        for (const event of events) expect(Object.keys(EVENTS)).toContain(event);
        const carried = new Set<string>(COMMON_ATTRIBUTES);
        for (const event of events) {
          const { required, optional } = EVENTS[event as keyof typeof EVENTS];
          for (const attribute of [...required, ...optional]) carried.add(attribute);
        }
        for (const label of labelsOf(query)) {
          if (OWN.has(label) || OF_EVERY_RECORD.test(label)) continue;
          named++;
          const attribute = ATTRIBUTE_LABELS.get(label);
          const isCarried = attribute !== undefined && (events.length === 0 || carried.has(attribute));
          expect({ query, label, isCarried }).toEqual({ query, label, isCarried: true });
        }
      }
    }
    expect(named).toBeGreaterThan(100);
  });

  it('read the families of the events that they name, and no others', () => {
    let narrowed = 0;
    for (const dashboard of DASHBOARDS) {
      for (const query of queriesOf(dashboard).filter((text) => text.includes('service_name'))) {
        for (const part of query.split('{service_name').slice(1)) {
          const [, families = ''] = /^[^}]*event_family=~?"([^"]+)"/.exec(part) ?? [];
          const named = eventsOf(part);
          const read = families === '' ? [] : families.replaceAll('[.]', '.').split('|');
          expect([part, read]).toEqual([part, familiesOf(named)]);
          if (named.length > 0) narrowed++;
        }
      }
    }
    expect(narrowed).toBeGreaterThan(80);
  });

  it('name attributes in legends, headings and columns that there are', () => {
    const inLegends = DASHBOARDS.flatMap(({ text }) => [...text.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label!));
    const columns = PANELS.flatMap(({ panel }) =>
      (panel.transformations ?? []).flatMap(({ options }) => options.include?.names ?? []),
    ).filter((name) => name !== 'Time');
    expect([inLegends.length > 30, columns.length > 5]).toEqual([true, true]);
    for (const label of [...inLegends, ...columns]) {
      expect([label, OWN.has(label) || OF_EVERY_RECORD.test(label) || ATTRIBUTE_LABELS.has(label)]).toEqual([
        label,
        true,
      ]);
    }
  });

  it('say kinds of events in words, in colours that mean something', () => {
    let said = 0;
    for (const { dashboard, panel } of PANELS) {
      for (const { id, value } of panel.fieldConfig.overrides.flatMap(({ properties }) => properties)) {
        if (id !== 'color') continue;
        expect(Object.values<string>(COLOURS)).toContain((value as { fixedColor: string }).fixedColor);
      }
      for (const { expr = '', legendFormat = '' } of panel.targets ?? []) {
        if (!legendFormat.includes('{{event_name}}')) continue;
        for (const event of eventsOf(expr)) {
          const name = legendFormat.replace('{{event_name}}', event).replaceAll(/\{\{\w+\}\}/g, 'x');
          const found = panel.fieldConfig.overrides.filter(({ matcher, properties }) => {
            // Figures are rows of a table, where the event's name is a column.
            if (matcher.id === 'byName' && matcher.options === 'event_name') {
              return JSON.stringify(properties).includes(`"${event}":{"text":`);
            }
            if (matcher.id !== 'byRegexp') return false;
            const pattern = new RegExp(matcher.options.slice(1, -1));
            return pattern.test(name) && properties.some(({ id }) => id === 'displayName');
          });
          expect([where(dashboard, panel), event, found.length]).toEqual([where(dashboard, panel), event, 1]);
          said++;
        }
      }
    }
    expect(said).toBeGreaterThan(30);
  });

  it('show not knowing in grey, and green only for nothing where that is good', () => {
    const good: string[] = [];
    for (const { dashboard, panel } of PANELS.filter((one) => one.panel.type === 'stat')) {
      const colours = (panel.fieldConfig.defaults.mappings ?? []).flatMap((mapping) =>
        mapping.type === 'special' && mapping.options.match === 'null' ? [mapping.options.result.color] : [],
      );
      expect([where(dashboard, panel), colours.length]).toEqual([where(dashboard, panel), 1]);
      if (colours[0] === COLOURS.good) good.push(panel.fieldConfig.defaults.noValue!);
      else expect(colours[0]).toBe(COLOURS.unknown);
    }
    expect(good.length).toBeGreaterThan(4);
    for (const words of good) expect(words).toMatch(/^(None|No|Nothing) /);
  });

  it('show the same state in the same colour everywhere, by the catalogue’s codes', () => {
    const seen = new Map<string, Set<string>>();
    for (const { panel } of PANELS) {
      const { mappings = [], thresholds } = panel.fieldConfig.defaults;
      for (const { color } of thresholds?.steps ?? []) expect(Object.values<string>(COLOURS)).toContain(color);
      for (const mapping of mappings) {
        if (mapping.type !== 'value') continue;
        for (const [code, { text, color }] of Object.entries(mapping.options)) {
          const states: readonly string[] =
            text in { ACTIVE: 0, REDUCING: 0, HALTED: 0 } ? TRADING_STATES : BREAKER_STATES;
          expect(states[Number(code)]).toBe(text);
          seen.set(text, (seen.get(text) ?? new Set()).add(color));
        }
      }
    }
    expect([...seen.keys()].sort()).toEqual([...TRADING_STATES, ...BREAKER_STATES].sort());
    for (const [state, colours] of seen) expect([state, colours.size]).toEqual([state, 1]);
  });
});
