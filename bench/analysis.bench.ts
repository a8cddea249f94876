/**
 * How fast a trail answers: `node bench/analysis.bench.ts [records]` (1,000,000 unless given). The trail is that of the demo,
 * repeated as streams of one day. Wall and processor time of each question beside a plain loop that parses line by line, in
 * Node and (where python3 is there) in Python. "Cold" is the first question of a process.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { openTrail } from '../src/analysis/index.ts';
import { MAIN, makeRepeatedDemo, START_NS } from './repeated-demo.ts';
import { table, temporaryDirectory } from './support.ts';

const RECORDS = Number(process.argv[2] ?? 1_000_000);
interface Measured {
  readonly wallS: number;
  readonly cpuS: number;
}
async function measure(work: () => Promise<unknown>): Promise<Measured> {
  const [start, cpu] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(cpu);
  return { wallS: (performance.now() - start) / 1000, cpuS: (user + system) / 1e6 };
}

/** The same question in a loop: events by name, results of closed trades. */
async function plainLoop(files: readonly string[]): Promise<number> {
  const counts = new Map<string, number>();
  let total = 0;
  for (const path of files) {
    for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
      const record = JSON.parse(line).resourceLogs[0].scopeLogs[0].logRecords[0];
      counts.set(record.eventName, (counts.get(record.eventName) ?? 0) + 1);
      if (record.eventName !== 'trade.exit') continue;
      const pnl = record.attributes.find((one: { key: string }) => one.key === 'trading.pnl').value;
      total += pnl.doubleValue ?? Number(pnl.intValue);
    }
  }
  return total;
}

const PYTHON = `
import json, sys
counts, total = {}, 0.0
for path in sys.argv[1:]:
    with open(path) as lines:
        for line in lines:
            record = json.loads(line)['resourceLogs'][0]['scopeLogs'][0]['logRecords'][0]
            name = record['eventName']
            counts[name] = counts.get(name, 0) + 1
            if name == 'trade.exit':
                for one in record['attributes']:
                    if one['key'] == 'trading.pnl':
                        value = one['value']
                        total += value.get('doubleValue', 0) or float(value.get('intValue', 0))
`;

const { path: target, files, bytes } = makeRepeatedDemo(temporaryDirectory(), RECORDS);
console.log(`${RECORDS} records, ${(bytes / 1e9).toFixed(2)} GB, ${files.length} segments\n`);

const rows: (string | number)[][] = [];
const add = (what: string, { wallS, cpuS }: Measured, aim: string) => rows.push([what, wallS, cpuS, aim]);
const range = { from: '2000-01-01', to: '2100-01-01' };
const trail = openTrail(target);
add('daily report, cold', await measure(() => trail.report.daily(range)), '≤ 5 s');
const rssMb = process.memoryUsage().rss / 1e6;
add('daily report, again', await measure(() => trail.report.daily(range)), '');
const at = new Date(Number(START_NS / 1_000_000n) + RECORDS * 43).toISOString();
add(
  'explain --at, the first: the trail is looked through',
  await measure(() => trail.explain({ at, verify: false })),
  '',
);
add('explain --at, again', await measure(() => trail.explain({ at, verify: false })), '≤ 1 s');
add(
  'SQL: results by symbol',
  await measure(() => trail.sql('SELECT symbol, sum(pnl) FROM trades GROUP BY symbol')),
  '',
);
add(
  'SQL: events by name, with the look for copies',
  await measure(() => trail.sql('SELECT event, count(*) FROM events GROUP BY event')),
  '',
);
add(
  'SQL: events by name, again',
  await measure(() => trail.sql('SELECT event, count(*) FROM events GROUP BY event')),
  '',
);
await trail.close();
const cached = openTrail(target, { cache: true });
add('daily report, while the cache is made', await measure(() => cached.report.daily(range)), '');
await cached.close();
const warm = openTrail(target, { cache: true });
add('daily report with the cache, first', await measure(() => warm.report.daily(range)), '≤ 0.3 s');
add('daily report with the cache, again', await measure(() => warm.report.daily(range)), '≤ 0.3 s');
await warm.close();
for (const what of ['while its cache is made', 'another process, with the cache']) {
  const start = performance.now();
  const { status } = spawnSync(process.execPath, [MAIN, 'explain', target, '--at', at, '--cache']);
  // 1: of a record that was made again for this trail the hash no longer fits.
  if (status !== 0 && status !== 1) throw new Error(`explain ended with ${status}`);
  rows.push([
    `risktrail explain --at, ${what}`,
    (performance.now() - start) / 1000,
    '',
    what.startsWith('while') ? '' : '≤ 1 s',
  ]);
}
/** A process by itself, from its start to its end. */
function addProcess(what: string, args: readonly string[], aim: string): void {
  const start = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args);
  if (status !== 0) throw new Error(String(stderr));
  rows.push([what, (performance.now() - start) / 1000, '', aim]);
}
const day = ['--from', range.from, '--to', range.to, '--json'];
addProcess(
  'risktrail report daily, another process, with the cache',
  [MAIN, 'report', 'daily', target, '--cache', ...day],
  '',
);
addProcess('risktrail state', [MAIN, 'state', target, '--json'], '≤ 1 s');
addProcess('risktrail state --at, midway', [MAIN, 'state', target, '--at', at, '--json'], '≤ 1 s');
const select = `await (await (await (await import('@duckdb/node-api')).DuckDBInstance.create()).connect()).run('SELECT 1')`;
addProcess('a process that starts DuckDB and asks it SELECT 1', ['--input-type=module', '-e', select], '');
const correlation = /"correlation\.id","value":\{"stringValue":"([^"]+)"/.exec(readFileSync(files[0]!, 'utf8'))?.[1];
if (correlation !== undefined) {
  const start = performance.now();
  const child = spawn(process.execPath, [MAIN, 'events', target, '--correlation', correlation, '--json']);
  await once(child.stdout, 'data');
  rows.push(['events --correlation, first line', (performance.now() - start) / 1000, '', '≤ 0.5 s']);
  child.kill();
  await once(child, 'exit');
}
add('plain loop in Node', await measure(() => plainLoop(files)), '');
const pythonStart = performance.now();
const python = spawnSync('python3', ['-c', PYTHON, ...files]);
if (python.status === 0) rows.push(['plain loop in Python', (performance.now() - pythonStart) / 1000, '', '']);
console.log(table(['what', 'wall s', 'processor s', 'aim'], rows));
console.log(`\nRSS after the daily report: ${rssMb.toFixed(0)} MB (aim: 1,000 at most)`);
