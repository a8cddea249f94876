/**
 * Writes the pages and schemas that follow from tables in the code. `--check` writes nothing and exits 1 where one lags.
 *
 *     node scripts/generate-docs.ts [--check]
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { sparkViews } from '../src/analysis/lake/spark.ts';
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
  const lagging = [...files].filter(([path, content]) => {
    const file = join(root, path);
    return !existsSync(file) || readFileSync(file, 'utf8') !== content;
  });
  return [...lagging.map(([path]) => path), ...surplusFiles(root, files)];
}

function surplusFiles(root: string, files: ReadonlyMap<string, string>): readonly string[] {
  const folder = join(root, EVENT_SCHEMAS);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .map((name) => `${EVENT_SCHEMAS}/${name}`)
    .filter((path) => !files.has(path));
}

function main(args: readonly string[]): number {
  const lagging = laggingFiles();
  if (args.includes('--check')) {
    for (const path of lagging) console.error(`${path} lags behind the code: run node scripts/generate-docs.ts`);
    return lagging.length === 0 ? 0 : 1;
  }
  const files = generatedFiles();
  for (const path of lagging) {
    const file = join(ROOT, path);
    const content = files.get(path);
    mkdirSync(dirname(file), { recursive: true });
    if (content === undefined) rmSync(file);
    else writeFileSync(file, content);
    console.log(content === undefined ? `removed ${path}` : `wrote ${path}`);
  }
  return 0;
}

if (import.meta.main) process.exitCode = main(process.argv.slice(2));
