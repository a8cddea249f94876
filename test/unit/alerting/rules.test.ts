import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { generatedAlertFiles, laggingAlertFiles } from '../../../scripts/generate-alerts.ts';
import { readRules } from '../../../src/alerting/read-rules.ts';
import type { AlertRule, EventSet } from '../../../src/alerting/rule.ts';
import { ALERT_RULES } from '../../../src/alerting/rules.ts';
import { TEMPLATE_NAMES } from '../../../src/alerting/text.ts';
import { COMMON_ATTRIBUTES } from '../../../src/catalog/attributes.ts';
import type { EventDefinition } from '../../../src/catalog/define.ts';
import { EVENTS } from '../../../src/catalog/events.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
const events: Readonly<Record<string, EventDefinition>> = EVENTS;

function setsOf({ measure }: AlertRule): readonly EventSet[] {
  if (measure.kind === 'ratio') return [measure.of, measure.among];
  return measure.kind === 'absence' ? [measure.of, measure.endedBy] : [measure.of];
}

describe.each(ALERT_RULES.map((rule) => [rule.id, rule] as const))('the rule %s', (_, rule) => {
  it('looks at events and attributes of the catalogue', () => {
    for (const { events: names, where } of setsOf(rule).flat()) {
      for (const name of names ?? []) {
        const definition = events[name];
        expect(definition, name).toBeDefined();
        const takes = [...definition!.required, ...definition!.optional, ...COMMON_ATTRIBUTES] as string[];
        const read = [
          ...(where ?? []).map(({ attribute }) => attribute),
          ...('value' in rule.measure ? [rule.measure.value.attribute, rule.measure.value.per ?? []].flat() : []),
        ];
        // A condition that something is not so holds for events that never say.
        const denied = (where ?? []).filter(({ is }) => is === '!=').map(({ attribute }) => attribute);
        expect(read.filter((attribute) => !takes.includes(attribute) && !denied.includes(attribute))).toEqual([]);
      }
    }
  });

  it('names in its sentences only what there is', () => {
    const known = [...TEMPLATE_NAMES, ...rule.groupBy.map(({ attribute }) => attribute)] as string[];
    const named = [...`${rule.title} ${rule.description}`.matchAll(/\{([^}]*)\}/g)].map(([, name]) => name!);
    expect(named.filter((name) => !known.includes(name))).toEqual([]);
  });

  it('has a runbook with what it means, three checks and how to end it', () => {
    const page = readFileSync(join(ROOT, 'docs/runbooks', `${rule.runbook}.md`), 'utf8');
    for (const heading of ['## What it means', '## First three checks', '## How to end it']) {
      expect(page).toContain(heading);
    }
    expect(page).toContain(`\`${rule.id}\``);
    const checks = page.slice(page.indexOf('## First three checks'), page.indexOf('## How to end it'));
    expect(checks.match(/^\d\. /gm)).toEqual(['1. ', '2. ', '3. ']);
    expect(checks.match(/```sh\nrisktrail /g)!.length).toBe(3);
  });
});

describe('the rules', () => {
  it('can run, and have ids of their own', () => {
    expect(readRules()).toEqual(ALERT_RULES);
    expect(new Set(ALERT_RULES.map(({ id }) => id)).size).toBe(ALERT_RULES.length);
  });

  it('are those that operators ask for', () => {
    expect(ALERT_RULES.map(({ id }) => id)).toHaveLength(23);
  });

  it('have no runbook too many', () => {
    const pages = readdirSync(join(ROOT, 'docs/runbooks')).map((name) => name.replace(/\.md$/, ''));
    expect(pages.filter((page) => !ALERT_RULES.some(({ runbook }) => runbook === page))).toEqual([]);
  });

  it('are those of the files for Loki and Grafana and of the docs', () => {
    expect(laggingAlertFiles()).toEqual([]);
    for (const path of generatedAlertFiles().keys()) expect(existsSync(join(ROOT, path))).toBe(true);
  });
});
