import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { EVENTS } from '../../src/catalog/events.ts';
import {
  EVENT_FAMILIES,
  eventFamily,
  FAMILY_LABEL,
  familyLabels,
  GRAVE_FROM,
  GRAVE_LABEL,
  OTHER_FAMILY,
} from '../../src/catalog/families.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const FILES = ['collector/collector.yaml', 'collector/gateway.yaml'];
/** With 20 strategies and 500 symbols: neither is in the index. */
const MOST_STREAMS = 50;

/** What a file's Collector does to records on their way to Loki. */
function statementsOf(path: string): readonly string[] {
  const { processors } = parse(readFileSync(join(ROOT, path), 'utf8')) as {
    readonly processors: { readonly 'transform/loki': { readonly log_statements: readonly string[] } };
  };
  return processors['transform/loki'].log_statements;
}

/** Go's named groups as JavaScript writes them. */
const patternOf = (statements: readonly string[]): RegExp => {
  const [, pattern] = /ExtractPatterns\(log\.event_name, "([^"]+)"\)/.exec(statements.join('\n'))!;
  return new RegExp(pattern!.replaceAll('(?P<', '(?<'));
};

describe('families of events', () => {
  it('every event of the catalogue has one, and every family has an event', () => {
    const families = Object.keys(EVENTS).map(eventFamily);
    expect(families).not.toContain(OTHER_FAMILY);
    expect(new Set(families)).toEqual(new Set(EVENT_FAMILIES));
  });

  it.each(FILES)('%s finds the same family', (path) => {
    const pattern = patternOf(statementsOf(path));
    const names = [
      ...Object.keys(EVENTS),
      ...[
        '',
        'strategy',
        'strategy.mine',
        'my.own',
        'markets.price',
        'xrisk.a',
        'risk.trailing_stop',
        'risk.trailing_stops.a',
      ],
    ];
    for (const name of names) {
      const found = pattern.exec(name)?.groups?.['event_family'] ?? OTHER_FAMILY;
      expect([name, found]).toEqual([name, eventFamily(name)]);
    }
  });

  it('both Collectors say the same, and give a sender no say in Loki’s index', () => {
    const [one, other] = FILES.map(statementsOf);
    expect(one).toEqual(other);
    for (const label of [FAMILY_LABEL, GRAVE_LABEL]) {
      const first = one!.find((statement) => statement.includes(`"${label}"`))!;
      // Whatever came is overwritten or taken away first.
      expect(first).toMatch(/^(set\(.*\)|delete_key\(.*\))$/);
    }
  });

  it('are labels of Loki’s index, and too few for many streams', () => {
    const { limits_config: limits } = parse(readFileSync(join(ROOT, 'grafana/loki.yaml'), 'utf8')) as {
      readonly limits_config: {
        readonly otlp_config: {
          readonly log_attributes: readonly { readonly action: string; readonly attributes: readonly string[] }[];
        };
      };
    };
    expect(limits.otlp_config.log_attributes).toEqual([
      { action: 'index_label', attributes: [FAMILY_LABEL, GRAVE_LABEL] },
    ]);
    const streams = new Set(
      [...Object.keys(EVENTS), 'my.own'].flatMap((name) =>
        [1, GRAVE_FROM].map((severity) => JSON.stringify(familyLabels(name, severity))),
      ),
    );
    expect(streams.size).toBeLessThan(MOST_STREAMS);
  });
});
