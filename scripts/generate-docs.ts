/**
 * Writes the pages and schemas that follow from tables in the code. `--check` writes nothing and exits 1 where one lags.
 *
 *     node scripts/generate-docs.ts [--check]
 */
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { sparkViews } from '../src/analysis/lake/spark.ts';
import { laggingOf, updateFiles } from './docs/generated-files.ts';
import { errorsPage, eventsPage, settingsPage } from './docs/pages.ts';
import { schemaFiles } from './docs/schemas.ts';

const ROOT = resolve(import.meta.dirname, '..');
const EVENT_SCHEMAS = 'schema/events';

/** Every generated file: path below the root → content. */
export function generatedFiles(): ReadonlyMap<string, string> {
  return new Map([
    ['docs/events.md', eventsPage()],
    ['docs/errors.md', errorsPage()],
    ['docs/settings.md', settingsPage()],
    ...schemaFiles(),
    ...Object.entries(sparkViews()).map(([name, text]) => [`sql/spark/${name}`, text] as const),
  ]);
}

/** Paths of files that differ from what would be generated, and of schemas of events that there no longer are. */
export function laggingFiles(root: string = ROOT): readonly string[] {
  const files = generatedFiles();
  return [...laggingOf(root, files), ...surplusFiles(root, files)];
}

function surplusFiles(root: string, files: ReadonlyMap<string, string>): readonly string[] {
  const folder = join(root, EVENT_SCHEMAS);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .map((name) => `${EVENT_SCHEMAS}/${name}`)
    .filter((path) => !files.has(path));
}

function main(args: readonly string[]): number {
  return updateFiles(ROOT, generatedFiles(), laggingFiles(), {
    check: args.includes('--check'),
    command: 'node scripts/generate-docs.ts',
  });
}

if (import.meta.main) process.exitCode = main(process.argv.slice(2));
