/**
 * Writes Grafana's dashboards, `grafana/dashboards/*.json`, and the page of their panels from `grafana/src`. `--check` writes
 * nothing and exits 1 where one lags.
 *
 *     node scripts/generate-dashboards.ts [--check]
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { dashboards } from '../grafana/src/index.ts';
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
  return [...files]
    .filter(([path, content]) => !existsSync(join(ROOT, path)) || readFileSync(join(ROOT, path), 'utf8') !== content)
    .map(([path]) => path);
}

function main(): number {
  const { values } = parseArgs({ options: { check: { type: 'boolean' } } });
  const files = generatedDashboards();
  const lagging = laggingDashboards(files);
  for (const path of lagging) {
    if (values.check) {
      console.error(`${path} lags behind the code: run node scripts/generate-dashboards.ts`);
      continue;
    }
    mkdirSync(dirname(join(ROOT, path)), { recursive: true });
    writeFileSync(join(ROOT, path), files.get(path)!);
    console.log(`wrote ${path}`);
  }
  return values.check && lagging.length > 0 ? 1 : 0;
}

if (import.meta.main) process.exitCode = main();
