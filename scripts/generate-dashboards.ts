/**
 * Writes Grafana's dashboards, `grafana/dashboards/*.json`, and the page of their panels from `grafana/src`. `--check` writes
 * nothing and exits 1 where one lags.
 *
 *     node scripts/generate-dashboards.ts [--check]
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { dashboards } from '../grafana/src/index.ts';
import { laggingOf, updateFiles } from './docs/generated-files.ts';
import { panelsPage } from './docs/panels-page.ts';

const ROOT = resolve(import.meta.dirname, '..');

/** Every generated file: path below the root → content. */
export function generatedDashboards(): ReadonlyMap<string, string> {
  const made = dashboards();
  return new Map([
    ...[...made].map(([slug, one]): [string, string] => [
      `grafana/dashboards/${slug}.json`,
      `${JSON.stringify(one, undefined, 2)}\n`,
    ]),
    ['docs/panels.md', panelsPage(made.values())],
  ]);
}

/** Paths of files that differ from what would be generated. */
export function laggingDashboards(files = generatedDashboards()): readonly string[] {
  return laggingOf(ROOT, files);
}

function main(): number {
  const { values } = parseArgs({ options: { check: { type: 'boolean' } } });
  const files = generatedDashboards();
  return updateFiles(ROOT, files, laggingDashboards(files), {
    check: values.check,
    command: 'node scripts/generate-dashboards.ts',
  });
}

if (import.meta.main) process.exitCode = main();
