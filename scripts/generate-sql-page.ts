/** Writes the tables of columns into docs/sql.md, as the views have them: `node scripts/generate-sql-page.ts`. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openTrail } from '../src/analysis/index.ts';
import { type Column, ENVELOPE, TRAILER } from '../src/analysis/sql/columns.ts';
import { DERIVED_VIEWS, FILE_VIEWS } from '../src/analysis/sql/views.ts';

const PAGE = join(import.meta.dirname, '../docs/sql.md');
const SHARED: ReadonlySet<string> = new Set([...ENVELOPE, ...TRAILER].map(({ name }) => name));

const table = (heading: readonly string[], rows: readonly (readonly string[])[]): string =>
  [heading, heading.map(() => '---'), ...rows]
    .map((row) => `| ${row.join(' | ')} |`)
    .join('\n')
    .replaceAll('| --- ', '|---')
    .replaceAll('--- |', '---|');

/** Columns of a view that are told of it: without those that every view has, where it begins with them. */
function ownColumns(columns: readonly Column[]): readonly Column[] {
  return columns[0]!.name === 'timestamp' ? columns.filter(({ name }) => !SHARED.has(name)) : columns;
}

async function viewsText(): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'risktrail-docs-'));
  writeFileSync(join(directory, 'none.jsonl'), '');
  await using trail = openTrail(directory);
  const parts: string[] = [];
  for (const { name, brief, columns } of FILE_VIEWS) {
    const types = new Map((await trail.sql(`DESCRIBE ${name}`)).rows.map(([column, type]) => [column, String(type)]));
    const rows = ownColumns(columns).map((one) => [`\`${one.name}\``, types.get(one.name)!, one.brief]);
    parts.push(`## ${name}\n\n${brief}\n\n${table(['column', 'type', 'what'], rows)}\n`);
  }
  for (const { name, brief } of DERIVED_VIEWS) {
    const { rows } = await trail.sql(`DESCRIBE ${name}`);
    const cells = rows.map(([column, type]) => [`\`${column}\``, String(type)]);
    parts.push(`## ${name}\n\n${brief}\n\n${table(['column', 'type'], cells)}\n`);
  }
  rmSync(directory, { recursive: true });
  return parts.join('\n');
}

const page = readFileSync(PAGE, 'utf8');
writeFileSync(PAGE, `${page.slice(0, page.indexOf('## events\n'))}${await viewsText()}`);
