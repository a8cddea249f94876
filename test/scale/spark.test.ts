import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTrail, type SqlValue, type Trail } from '../../src/analysis/index.ts';
import { temporaryDirectory } from '../support/temporary.ts';
import { testVariable } from '../support/test-variables.ts';

const ROOT = join(import.meta.dirname, '../..');
const HOME = testVariable('RISKTRAIL_SPARK') ?? join(homedir(), '.cache/risktrail-spark/venv');
const PYTHON = join(HOME, 'bin/python');
const VERSION = '4.0.1';

/** Every query of the page. */
const QUERIES = [...readFileSync(join(ROOT, 'docs/questions.md'), 'utf8').matchAll(/^risktrail query "(.*)"$/gm)].map(
  ([, sql]) => sql!,
);

/** Where the two dialects differ. */
const forSpark = (sql: string): string =>
  sql
    .replaceAll('FILTER (', 'FILTER (WHERE ')
    .replaceAll('arg_max(', 'max_by(')
    .replaceAll('list_contains(', 'array_contains(')
    .replaceAll('starts_with(', 'startswith(')
    .replaceAll("strftime(timestamp, '%Y-%m-%dT%H:%M')", `date_format(timestamp, "yyyy-MM-dd'T'HH:mm")`)
    .replaceAll('timestamp::DATE', 'CAST(timestamp AS DATE)');

function run(command: string, args: readonly string[], input?: string) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    ...(input === undefined ? {} : { input }),
  });
  if (status !== 0) throw new Error(`${command} ${args[0]}: ${error?.message ?? stderr.slice(-2000)}`);
  return stdout;
}

/** 0 / 0 is NaN in DuckDB and nothing in Spark. */
const plainNumber = (cell: SqlValue): SqlValue =>
  typeof cell === 'number' ? Number(cell.toPrecision(12)) : cell === 'NaN' ? null : cell;

/** As text, numbers to twelve digits: sums run in another order. */
const comparable = (rows: readonly (readonly SqlValue[])[]): string[] =>
  rows.map((row) => JSON.stringify(row.map(plainNumber))).sort();

type Answers = Readonly<Record<string, readonly (readonly SqlValue[])[] | string>>;
let spark: { readonly version: string; readonly answers: readonly Answers[] };
let trails: readonly Trail[];

beforeAll(async () => {
  const root = temporaryDirectory();
  if (!existsSync(PYTHON) || !existsSync(join(HOME, 'bin/spark-submit'))) {
    mkdirSync(HOME, { recursive: true });
    run('python3', ['-m', 'venv', HOME]);
    run(PYTHON, ['-m', 'pip', 'install', '-q', `pyspark==${VERSION}`]);
  }
  const demo = join(root, 'demo');
  run(process.execPath, [join(ROOT, 'src/cli/main.ts'), 'demo', demo, '--quiet']);
  const stream = join(demo, 'streams', readdirSync(join(demo, 'streams'))[0]!);
  const last = join(
    stream,
    readdirSync(stream)
      .filter((name) => name.endsWith('.jsonl'))
      .sort()
      .at(-1)!,
  );
  // The whole trail has five thousand days: by service it is one folder, and its newest segment is laid out by day.
  trails = [openTrail(demo), openTrail(last)];
  const lakes = [join(root, 'by-service'), join(root, 'by-day')];
  for (const [at, partition] of ['service', 'day,service'].entries()) {
    await trails[at]!.exportLake(lakes[at]!, partition);
  }
  const directory = join(ROOT, 'sql/spark');
  const names = readdirSync(directory).sort();
  // What stands on another view comes after it.
  const derived = ['alerts.sql', 'limit_results.sql'];
  const views = [...names.filter((name) => !derived.includes(name)), ...derived].map((name) =>
    readFileSync(join(directory, name), 'utf8'),
  );
  const queries = Object.fromEntries([
    ...QUERIES.map((sql) => [sql, forSpark(sql)]),
    ...names.map((name) => [`columns ${name}`, `SELECT * FROM ${name.replace('.sql', '')} LIMIT 0`]),
  ]);
  const asked = { views, warehouse: join(root, 'warehouse'), lakes: lakes.map((path) => ({ path, queries })) };
  spark = JSON.parse(run(PYTHON, [join(import.meta.dirname, 'run_spark.py')], JSON.stringify(asked)));
});

afterAll(async () => {
  for (const trail of trails ?? []) await trail.close();
});

describe('Spark over a lake answers as DuckDB over the trail', () => {
  it('with every view', () => {
    expect(spark.version).toBe(VERSION);
    for (const answers of spark.answers) {
      for (const [name, rows] of Object.entries(answers))
        if (name.startsWith('columns ')) expect(rows, name).toEqual([]);
    }
  });

  it('there are queries', () => expect(QUERIES.length).toBeGreaterThan(40));

  for (const sql of QUERIES) {
    it(sql.slice(0, 150), async () => {
      for (const [at, trail] of trails.entries()) {
        const { rows } = await trail.sql(sql);
        const answer = spark.answers[at]![sql];
        if (typeof answer === 'string' || answer === undefined) throw new Error(`${sql}: ${answer}`);
        expect(comparable(answer)).toEqual(comparable(rows));
      }
    });
  }
});
