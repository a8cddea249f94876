/**
 * Writes the files that follow from the alert rules: for Loki's ruler, for Grafana, and the table of the docs. `--check` writes
 * nothing and exits 1 where one lags.
 *
 *     node scripts/generate-alerts.ts [--check] [--settings alerts.yaml] [--docs-url https://…/docs]
 *
 * With `--settings` the thresholds of that file hold in what is written; with `--docs-url` alerts link to their runbooks there.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { parse, stringify } from 'yaml';
import { alertPanels } from '../grafana/src/alert-panels.ts';
import { applySettings, readRules } from '../src/alerting/read-rules.ts';
import { CONTACTS, grafanaContact, grafanaRules, lokiRules } from '../src/alerting/render/documents.ts';
import type { AlertRule } from '../src/alerting/rule.ts';
import { alertRulesPage } from './docs/alert-rules-page.ts';
import { laggingOf, updateFiles } from './docs/generated-files.ts';

const ROOT = resolve(import.meta.dirname, '..');
const HEAD = '# Written by scripts/generate-alerts.ts from src/alerting/rules.ts: change it there.\n';

const yaml = (document: object): string =>
  `${HEAD}${stringify(document, { lineWidth: 0, aliasDuplicateObjects: false })}`;

/** Every generated file: path below the root → content. */
export function generatedAlertFiles(
  rules: readonly AlertRule[] = readRules(),
  docsUrl?: string,
): ReadonlyMap<string, string> {
  return new Map([
    ['grafana/alerting/loki-rules.yaml', yaml(lokiRules(rules, { docsUrl }))],
    [
      'grafana/provisioning/alerting/risktrail.yaml',
      yaml(grafanaRules(rules, { docsUrl, panels: alertPanels(rules) })),
    ],
    ...CONTACTS.map((one) => [`grafana/contact-points/${one}.yaml`, yaml(grafanaContact(one))] as const),
    // What stands there unless another is put in its place.
    ['grafana/provisioning/alerting/contact-point.yaml', yaml(grafanaContact('none'))],
    ['docs/alert-rules.md', alertRulesPage(rules)],
  ]);
}

/** Paths of files that differ from what would be generated. */
export function laggingAlertFiles(files = generatedAlertFiles()): readonly string[] {
  return laggingOf(ROOT, files);
}

function main(): number {
  const { values } = parseArgs({
    options: { check: { type: 'boolean' }, settings: { type: 'string' }, 'docs-url': { type: 'string' } },
  });
  const { settings, 'docs-url': docsUrl } = values;
  const rules =
    settings === undefined ? readRules() : applySettings(readRules(), parse(readFileSync(settings, 'utf8')), settings);
  const files = generatedAlertFiles(rules, docsUrl);
  return updateFiles(ROOT, files, laggingAlertFiles(files), {
    check: values.check,
    command: 'node scripts/generate-alerts.ts',
  });
}

if (import.meta.main) process.exitCode = main();
