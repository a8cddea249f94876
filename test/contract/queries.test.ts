import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parser as logql } from '@grafana/lezer-logql';
import { parser as traceql } from '@grafana/lezer-traceql';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { countingQueries } from '../../grafana/src/logql.ts';
import { measureLogql, ruleLogql, shownLogql } from '../../src/alerting/render/logql.ts';
import { ALERT_RULES } from '../../src/alerting/rules.ts';
import { filledIn, readDashboards } from '../support/dashboards.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const readYaml = (path: string): unknown => parse(readFileSync(join(ROOT, path), 'utf8'));

/** What a parser can't make sense of, with its place; nothing where the query is whole. */
function mistakes(parser: typeof logql, query: string): readonly string[] {
  const found: string[] = [];
  parser.parse(query).iterate({
    enter: ({ type, from, to }) => {
      if (type.isError) found.push(`${from}–${to}: ${query.slice(Math.max(0, from - 20), to + 20)}`);
    },
  });
  return found;
}

/** As Grafana would send it; an id is chosen. */
const sent = (query: string): string =>
  filledIn(query.replaceAll(/\$\$?\{__trace\.traceId\}/g, 'a1b2'), 3600, 60, { id: 'a1b2', trace: 'a1b2' });

/** Every string of a document that stands under one of the keys. */
function under(document: unknown, keys: ReadonlySet<string>): readonly string[] {
  if (typeof document !== 'object' || document === null) return [];
  return Object.entries(document).flatMap(([key, value]) =>
    typeof value === 'string' && keys.has(key) ? [value] : under(value, keys),
  );
}

interface DataSource {
  readonly type: string;
  readonly jsonData: { readonly tracesToLogsV2?: { readonly query: string } };
}
const { datasources } = readYaml('grafana/provisioning/datasources/risktrail.yaml') as {
  readonly datasources: readonly DataSource[];
};
const ofPanels = readDashboards().flatMap(({ file, panels }) =>
  panels.flatMap(({ title, targets = [] }) => targets.map((target) => ({ ...target, where: `${file}: ${title}` }))),
);

describe('LogQL, as the parser of Grafana reads it', () => {
  const ofDashboards = [
    ...ofPanels.filter(({ datasource }) => datasource.uid === 'loki').map(({ expr = '' }) => expr),
    ...readDashboards().flatMap(({ annotations }) => annotations.list.map(({ expr }) => expr)),
    ...countingQueries().keys(),
  ];
  const ofRuler = under(readYaml('grafana/alerting/loki-rules.yaml'), new Set(['expr']));
  const ofGrafana = under(readYaml('grafana/provisioning/alerting/risktrail.yaml'), new Set(['expr']));
  const ofLinks = datasources.flatMap(({ jsonData }) => jsonData.tracesToLogsV2?.query ?? []);

  it.each([
    ['the dashboards', ofDashboards, 90],
    ['the rules of the ruler', ofRuler, ALERT_RULES.length],
    ['the rules of Grafana', ofGrafana, ALERT_RULES.length],
    ['the rules, as they are rendered', ALERT_RULES.map((rule) => measureLogql(rule)), ALERT_RULES.length],
    ['the links from traces to records', ofLinks, 1],
  ])('%s: no query has a mistake', (_, queries, least) => {
    expect(queries.length).toBeGreaterThanOrEqual(least);
    for (const query of queries) expect([query, mistakes(logql, sent(query))]).toEqual([query, []]);
  });

  it('finds a mistake where one is made', () => {
    for (const query of ofDashboards.slice(0, 20)) {
      const whole = sent(query);
      const selector = whole.indexOf('}');
      expect(mistakes(logql, whole.slice(0, selector) + whole.slice(selector + 1))).not.toEqual([]);
      expect(mistakes(logql, `${whole} | | x`)).not.toEqual([]);
    }
    const [rule] = ALERT_RULES;
    for (const query of [ruleLogql(rule!, ALERT_RULES), shownLogql(rule!, ALERT_RULES)]) {
      expect(mistakes(logql, query)).toEqual([]);
      expect(mistakes(logql, query.replace(' by (', ' bye ('))).not.toEqual([]);
    }
  });
});

describe('TraceQL, as the parser of Grafana reads it', () => {
  const tempo = ofPanels.filter(({ datasource }) => datasource.uid === 'tempo');
  // A query that is a variable alone is a trace id, which Tempo takes in TraceQL's place.
  const isId = ({ query = '' }: { readonly query?: string }) => /^\$\{\w+\}$/.test(query);
  const queries = tempo.filter((target) => !isId(target)).map(({ query = '' }) => query);

  it('no query of a panel or a link has a mistake', () => {
    expect(tempo.map(({ queryType }) => queryType)).toEqual(tempo.map(() => 'traceql'));
    // biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana fills it in.
    expect(tempo.filter(isId).map(({ query }) => query)).toEqual(['${trace}']);
    expect(queries.length).toBeGreaterThan(0);
    for (const query of queries) expect([query, mistakes(traceql, sent(query))]).toEqual([query, []]);
    // A link from a record to its trace names the trace by its id alone, in no language.
    const text = readFileSync(join(ROOT, 'grafana/provisioning/datasources/risktrail.yaml'), 'utf8');
    expect(text).toContain('url: $${__value.raw}');
    expect(readDashboards().flatMap((dashboard) => dashboard.text.match(/traceql%|query%22/gi) ?? [])).toEqual([]);
  });

  it('finds a mistake where one is made', () => {
    for (const query of queries) {
      const whole = sent(query);
      expect(mistakes(traceql, whole.replace('}', ''))).not.toEqual([]);
      expect(mistakes(traceql, whole.replace('=', ''))).not.toEqual([]);
      expect(mistakes(traceql, `${whole} | rate(`)).not.toEqual([]);
    }
    expect(mistakes(traceql, 'a1b2')).not.toEqual([]);
  });
});
