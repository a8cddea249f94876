/** docs/sql.md and docs/reports.md say what there is, no more and no less. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { openTrail, type Report } from '../../src/analysis/index.ts';
import { REPORTS, type ReportSection } from '../../src/analysis/report/types.ts';
import { ENVELOPE, TRAILER } from '../../src/analysis/sql/columns.ts';
import { DEFAULT_MEMORY_BYTES, DEFAULT_TIMEOUT_MS } from '../../src/analysis/sql/trail-database.ts';
import { DERIVED_VIEWS, FILE_VIEWS, MACROS, VIEW_NAMES } from '../../src/analysis/sql/views.ts';
import { addQueryCommand } from '../../src/cli/commands/query.ts';
import { addReportCommand } from '../../src/cli/commands/report.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { line, put, STREAM_A, segmentPath } from '../support/trail-lines.ts';

const page = (name: string): string => readFileSync(join(import.meta.dirname, '../../docs', name), 'utf8');
const SQL_PAGE = page('sql.md');
const REPORTS_PAGE = page('reports.md');

interface Part {
  readonly text: string;
  readonly rows: readonly (readonly string[])[];
}

/** What stands below each heading, with the rows of its table. */
function partsOf(text: string): ReadonlyMap<string, Part> {
  const parts = text.split(/^## /m).slice(1);
  return new Map(
    parts.map((part): [string, Part] => {
      const rows = part
        .split('\n')
        .filter((row) => row.startsWith('| `'))
        .map((row) =>
          row
            .slice(1, -1)
            .split(/(?<!\\)\|/)
            .map((cell) => cell.trim().replaceAll('\\|', '|')),
        );
      return [part.split('\n', 1)[0]!, { text: part, rows }];
    }),
  );
}

const code = (name: string) => `\`${name}\``;

/** A trail with one record of each thing that reports have a row or a unit for. */
function makeTrail(): string {
  const dir = temporaryDirectory();
  put(segmentPath(dir, STREAM_A, 0), line(0) + line(1, { event: 'trade.exit', attributes: { 'trading.pnl': 1 } }));
  return dir;
}

/** Options of a command as they are typed: `--memory <MiB>`. */
function optionsOf(add: (program: Command, done: () => void) => void): readonly string[] {
  const program = new Command();
  add(program, () => {});
  return program.commands[0]!.options.map(({ long }) => long!).filter((name) => !/^--(json|csv|no-)/.test(name));
}

describe('docs/sql.md', () => {
  const parts = partsOf(SQL_PAGE);

  it('lists the views, and the columns of each with their types, in their order', async () => {
    await using trail = openTrail(makeTrail());
    expect([...parts.keys()].filter((name) => /^[a-z_]+$/.test(name))).toEqual(VIEW_NAMES);
    const shared = [...ENVELOPE, ...TRAILER];
    expect(parts.get('Columns of every view')!.rows).toEqual(shared.map(({ name, brief }) => [code(name), brief]));
    for (const { name, brief, columns } of FILE_VIEWS) {
      const { rows: described } = await trail.sql(`DESCRIBE ${name}`);
      const types = new Map(described.map(([column, type]) => [String(column), String(type)]));
      const isWhole = columns[0]!.name !== 'timestamp';
      const own = columns.filter((column) => isWhole || !shared.some((one) => one.name === column.name));
      const { text, rows } = parts.get(name)!;
      expect(text).toContain(brief);
      expect([name, rows]).toEqual([name, own.map((one) => [code(one.name), types.get(one.name), one.brief])]);
    }
    for (const { name, brief } of DERIVED_VIEWS) {
      const { rows: described } = await trail.sql(`DESCRIBE ${name}`);
      const { text, rows } = parts.get(name)!;
      expect(text).toContain(brief);
      expect([name, rows]).toEqual([name, described.map(([column, type]) => [code(String(column)), type])]);
    }
  });

  it('lists the functions that there are besides DuckDB’s, each with what it gives', async () => {
    await using trail = openTrail(makeTrail());
    const { rows } = parts.get('Functions')!;
    const names = [...MACROS.map((macro) => /MACRO (\w+)/.exec(macro)![1]!), 'plain_json'].sort();
    expect(rows.map(([call]) => /^`(\w+)\(/.exec(call!)![1])).toEqual(names);
    for (const [call, , example] of rows) {
      const [, asked, answer] = /^`(.+)` → `(.+)`$/.exec(example!)!;
      const found = await trail.sql(`SELECT ${asked}`);
      expect([call, JSON.stringify(found.rows[0]![0])]).toEqual([call, answer]);
    }
  });

  it('lists what bounds a query, with its defaults', () => {
    const { rows } = parts.get('Bounds')!;
    expect(rows.map(([option]) => /^`(--[a-z]+)/.exec(option!)?.[1]).filter((name) => name !== undefined)).toEqual(
      optionsOf(addQueryCommand)
        .filter((name) => name === '--memory' || name === '--timeout')
        .sort(),
    );
    const text = rows.map((row) => row.join(' ')).join('\n');
    expect(text).toContain(`${DEFAULT_MEMORY_BYTES / 2 ** 20} MiB`);
    expect(text).toContain(`${DEFAULT_TIMEOUT_MS / 1000} s`);
  });
});

describe('docs/reports.md', () => {
  const parts = partsOf(REPORTS_PAGE);
  const CONVENTION = / \(\d+\)$/;

  const shown = ({ metrics, columns }: ReportSection) =>
    metrics === undefined
      ? { columns }
      : { metrics: Object.entries(metrics).map(([name, one]) => [code(name), one.convention.replace(CONVENTION, '')]) };
  const written = ({ text, rows }: Part) => {
    const list = /^A table of (.+)\.$/m.exec(text)?.[1];
    if (list !== undefined) return { columns: [...list.matchAll(/`(\w+)`/g)].map(([, name]) => name) };
    return { metrics: rows.map(([name, , convention]) => [name, convention]) };
  };

  it('lists every report with its sections, and every field of each', async () => {
    await using trail = openTrail(makeTrail());
    const reports: Report[] = [];
    for (const name of REPORTS) reports.push(await trail.report[name]({ from: '2020-03-16', to: '2020-03-16' }));
    const table = [...REPORTS_PAGE.matchAll(/^\| `(\w+)` \| (.+) \|$/gm)].slice(0, REPORTS.length);
    expect(table.map(([, name, sections]) => [name, sections])).toEqual(
      reports.map(({ report, sections }) => [report, sections.map(({ name }) => `[${name}](#${name})`).join(', ')]),
    );
    const sections = new Map(reports.flatMap((report) => report.sections).map((one) => [one.name, one]));
    for (const [name, section] of sections) {
      expect([name, written(parts.get(name)!)]).toEqual([name, shown(section)]);
      expect(parts.get(name)!.text).toContain(section.title);
      for (const [metric, { unit }] of Object.entries(section.metrics ?? {})) {
        const told = parts.get(name)!.rows.find(([one]) => one === code(metric))![1];
        if (unit !== undefined) expect([name, metric, told]).toEqual([name, metric, unit]);
      }
    }
    expect([...parts.keys()].filter((name) => /^[a-z_]+$/.test(name)).sort()).toEqual([...sections.keys()].sort());
  });

  it('tells every option of the command', () => {
    for (const option of optionsOf(addReportCommand)) expect(REPORTS_PAGE).toContain(option);
  });
});
