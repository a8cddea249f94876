import {
  appendFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type ExplainTarget, explain } from '../../src/analysis/explain.ts';
import type { FlatRecord } from '../../src/analysis/flat-record.ts';
import { type Explanation, openTrail, type Trail } from '../../src/analysis/index.ts';
import { runDemo } from '../../src/demo/main.ts';
import { recordsOf, writeCollectorFiles } from '../support/collector-copy.ts';
import { plainFinder } from '../support/plain-finder.ts';
import { removeTemporaryDirectories, temporaryDirectory } from '../support/temporary.ts';
import { readTrail } from '../support/trail.ts';
import { line, put, START_MS, STREAM_A, STREAM_B, segmentPath } from '../support/trail-lines.ts';

afterAll(removeTemporaryDirectories);

type Answer = Omit<Explanation, 'integrity'> | string;

async function answerOf(ask: () => Promise<Omit<Explanation, 'integrity'>>): Promise<Answer> {
  try {
    const { answer, steps } = await ask();
    return { answer, steps };
  } catch (error) {
    return (error as Error).message;
  }
}

/** What a look at every record gives for each question. */
async function plainly(path: string, targets: readonly ExplainTarget[]): Promise<Answer[]> {
  const finder = await plainFinder([path]);
  const answers: Answer[] = [];
  for (const target of targets) answers.push(await answerOf(() => explain(finder, target)));
  return answers;
}

async function indexed(trail: Trail, targets: readonly ExplainTarget[]): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const target of targets) answers.push(await answerOf(() => trail.explain({ ...target, verify: false })));
  return answers;
}

async function expectPlain(trail: Trail, path: string, targets: readonly ExplainTarget[]): Promise<void> {
  expect(await indexed(trail, targets)).toEqual(await plainly(path, targets));
}

/** Every n-th of the different values, `count` in all. */
function some<T>(values: readonly (T | undefined)[], count: number): T[] {
  const different = [...new Set(values)].filter((one) => one !== undefined);
  const step = Math.max(1, Math.floor(different.length / count));
  return different.filter((_, at) => at % step === 0).slice(0, count);
}

/** Every change of state, and some of whatever else can be asked for. */
function questionsOf(records: readonly FlatRecord[]): ExplainTarget[] {
  const changes = records.filter(({ event }) => event === 'risk.trading_state_change');
  const openings = records.filter(({ event }) => event === 'risk.circuit_breaker.state_change');
  const names = [...new Set(records.map(({ event }) => event))];
  const texts = (key: string, count: number) =>
    some(
      records.map((one) => one[key] as string | undefined),
      count,
    );
  return [
    ...[...changes, ...openings].map(({ record_id: event }) => ({ event: event! })),
    ...names.map((name) => ({ event: records.find(({ event }) => event === name)!.record_id! })),
    ...['trading.order.id', 'trading.order.client_id'].flatMap((key) => texts(key, 5).map((order) => ({ order }))),
    ...['trading.execution.id', 'risk.trailing_stop.id'].flatMap((key) =>
      texts(key, 4).map((position) => ({ position })),
    ),
    ...some(
      [...changes, ...records].map(({ timestamp }) => timestamp),
      12,
    ).flatMap((at) => [{ at }, { at: `${at.slice(0, 16)}:00.000000000Z` }, { at: at.slice(11, 16) }]),
    { event: 'nothing' },
    { order: 'a "quoted" \\ order' },
    { at: '1990-01-01T00:00:00.000000000Z' },
  ];
}

const segmentsOf = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.jsonl(\.zst)?$/.test(name))
    .sort()
    .map((name) => join(dir, name));

/** The demo's trail, in segments of some hundred records as of a longer one. */
let dir: string;
beforeAll(async () => {
  const silent = vi.spyOn(console, 'log').mockImplementation(() => {});
  const made = temporaryDirectory();
  await runDemo({ dir: made, days: 400, quiet: true });
  silent.mockRestore();
  dir = temporaryDirectory();
  const stream = readdirSync(join(made, 'streams'))[0]!;
  const lines = segmentsOf(made).flatMap((path) => readFileSync(path, 'utf8').split(/(?<=\n)/));
  for (let first = 0; first < lines.length; first += 700)
    put(segmentPath(dir, `demo/${stream}`, first), lines.slice(first, first + 700).join(''));
}, 180_000);

describe('an explanation of the demo’s trail, by the index', () => {
  let targets: ExplainTarget[];
  let answers: Answer[];
  beforeAll(async () => {
    targets = questionsOf(await readTrail(dir));
    answers = await plainly(dir, targets);
    expect(answers.filter((one) => typeof one !== 'string' && one.steps.length > 3).length).toBeGreaterThan(20);
  }, 180_000);

  it('is what a look at every record gives', async () => {
    await using trail = openTrail(dir, { threads: 2 });
    expect(await indexed(trail, targets)).toEqual(answers);
  });

  it('is the same of sealed segments, and of both forms side by side', async () => {
    const sealed = temporaryDirectory();
    cpSync(dir, sealed, { recursive: true });
    await using trail = openTrail(sealed, { threads: 2 });
    const asked = some(targets, 25);
    const expected = asked.map((one) => answers[targets.indexOf(one)]!);
    expect(await indexed(trail, asked.slice(0, 3))).toEqual(expected.slice(0, 3));
    for (const [at, path] of segmentsOf(sealed).slice(0, -1).entries()) {
      writeFileSync(`${path}.zst`, zstdCompressSync(readFileSync(path)));
      if (at % 3 > 0) rmSync(path);
    }
    expect(await indexed(trail, asked)).toEqual(expected);
  });

  it('is that of a Collector’s files, of which it is as sure', async () => {
    const files = writeCollectorFiles(join(temporaryDirectory(), 'copy'), recordsOf(dir));
    await using trail = openTrail(files, { threads: 2 });
    await expectPlain(trail, files, some(targets, 40));
  });

  it('is the same from an index on disk, and from a damaged one', async () => {
    const cache = join(temporaryDirectory(), 'cache');
    const asked = some(targets, 25);
    const expected = asked.map((one) => answers[targets.indexOf(one)]!);
    const ask = async () => {
      await using trail = openTrail(dir, { threads: 1, cache });
      return indexed(trail, asked);
    };
    expect(await ask()).toEqual(expected);
    const [form] = readdirSync(cache);
    const kept = readdirSync(join(cache, form!)).map((name) => join(cache, form!, name));
    expect(kept).toHaveLength(segmentsOf(dir).length);
    const before = kept.map((path) => readFileSync(path));
    expect(await ask()).toEqual(expected);
    // A changed byte, one cut off, one gone, one of another segment: each is noticed, and made anew as it was.
    const bytes = Buffer.from(before[0]!);
    bytes[bytes.length - 9]! ^= 1;
    writeFileSync(kept[0]!, bytes);
    truncateSync(kept[1]!, 100);
    rmSync(kept[2]!);
    cpSync(kept[4]!, kept[3]!);
    writeFileSync(join(cache, form!, `.${2 ** 30}-left`), 'half');
    expect(await ask()).toEqual(expected);
    expect(kept.map((path) => readFileSync(path).equals(before[kept.indexOf(path)]!))).toEqual(kept.map(() => true));
    expect(readdirSync(join(cache, form!))).toHaveLength(kept.length);
  });
});

const change = (sequence: number, state: string, more: Parameters<typeof line>[1] = {}) =>
  line(sequence, {
    event: 'risk.trading_state_change',
    body: `Trading ${state}`,
    ...more,
    attributes: { 'risk.scope': 'global', 'risk.trading_state.new': state, ...more.attributes },
  });
const refusal = (sequence: number) =>
  line(sequence, { event: 'risk.portfolio_limit.check', attributes: { 'risk.decision': 'deny' } });
const id = (sequence: number, stream = STREAM_A) => `${stream}#${sequence}`;
const HALT = { event: id(1) };

describe('a trail that is asked again', () => {
  const FIRST = [line(0), change(1, 'HALTED'), refusal(2)].join('');

  it('tells what was written meanwhile, as far as its lines are whole', async () => {
    const dir = temporaryDirectory();
    const path = segmentPath(dir, STREAM_A, 0);
    put(path, FIRST);
    await using trail = openTrail(dir, { threads: 2 });
    const answer = async () => (await trail.explain({ ...HALT, verify: false })).answer;
    expect(await answer()).toContain('1 request was refused meanwhile. It had not ended');
    appendFileSync(path, `${refusal(3)}${refusal(4)}`);
    expect(await answer()).toContain('3 requests were refused');
    const torn = change(5, 'ACTIVE');
    appendFileSync(path, torn.slice(0, 200));
    expect(await answer()).toContain('3 requests were refused meanwhile. It had not ended');
    // Whole but for its newline: a record.
    appendFileSync(path, torn.slice(200, -1));
    expect(await answer()).toContain('It ended at 2020-03-16 14:00:05 UTC');
    appendFileSync(path, `\n${refusal(6)}`);
    put(segmentPath(dir, STREAM_A, 7), change(7, 'HALTED'));
    await expectPlain(trail, dir, [HALT, { event: id(7) }, { at: '2020-03-16T14:00:06.000000000Z' }, { at: '14:00' }]);
    expect(await answer()).toContain('3 requests were refused meanwhile. It ended');
  });

  it('tells of a record that was changed that it was, and of the others that they were not', async () => {
    const demo = temporaryDirectory();
    cpSync(dir, demo, { recursive: true });
    const halt = (await readTrail(demo)).find(({ event }) => event === 'risk.trading_state_change')!;
    const path = segmentsOf(demo).findLast((one) => Number(/(\d+)\.jsonl$/.exec(one)![1]) <= halt.sequence!);
    const cache = join(temporaryDirectory(), 'cache');
    await using trail = openTrail(demo, { threads: 2, cache });
    const states = async () => {
      const { steps } = await trail.explain({ event: halt.record_id!, verify: false });
      return Object.fromEntries(steps.map(({ recordId, integrity }) => [recordId, integrity]));
    };
    const before = await states();
    expect(new Set(Object.values(before))).toEqual(new Set(['intact']));
    const text = readFileSync(path!, 'utf8');
    const lines = text.split('\n');
    const at = lines.findIndex((one) => one.includes(`"audit.record.id","value":{"stringValue":"${halt.record_id}"}`));
    const longer = lines[at]!.replace(/"body":\{"stringValue":"/, '$&No: ');
    const shorter = lines[at]!.replace('circuit_breaker:', 'circuit-breaker:');
    for (const forged of [longer, shorter]) {
      expect(forged).not.toBe(lines[at]);
      writeFileSync(path!, lines.with(at, forged).join('\n'));
      expect(await states()).toEqual({ ...before, [halt.record_id!]: 'changed' });
    }
  });

  it('looks anew through a file that another took the place of', async () => {
    const dir = temporaryDirectory();
    const path = segmentPath(dir, STREAM_A, 0);
    put(path, FIRST);
    await using trail = openTrail(dir, { threads: 2 });
    await trail.explain({ ...HALT, verify: false });
    // Longer, and the same inode: nothing but its content tells that it did not just grow.
    writeFileSync(path, `${line(0)}${line(8)}${change(1, 'HALTED')}${refusal(2)}${refusal(3)}`);
    await expectPlain(trail, dir, [HALT]);
    const other = `${path}.new`;
    writeFileSync(other, `${line(0, { body: 'longer than before' })}${change(1, 'HALTED')}`);
    renameSync(other, path);
    await expectPlain(trail, dir, [HALT]);
  });

  it('tells what is left of a trail that was pruned', async () => {
    const dir = temporaryDirectory();
    put(segmentPath(dir, STREAM_A, 0), FIRST);
    put(segmentPath(dir, STREAM_A, 3), `${change(3, 'ACTIVE', { attributes: { 'risk.cause.record_id': id(1) } })}`);
    const cache = join(dir, 'cache');
    await using trail = openTrail(dir, { threads: 2, cache });
    const asked = [HALT, { event: id(3) }, { at: '2020-03-16T14:00:02.000000000Z' }, { order: 'x' }];
    await expectPlain(trail, dir, asked);
    rmSync(segmentPath(dir, STREAM_A, 0));
    await expectPlain(trail, dir, asked);
    expect(await indexed(trail, [HALT])).toEqual([`the trail has no record ${id(1)}`]);
    rmSync(segmentPath(dir, STREAM_A, 3));
    await expect(trail.explain(HALT)).rejects.toMatchObject({ code: 'NO_TRAIL_FILES' });
  });

  it('finds ids that stand twice, escaped, in lists, as numbers, and in records that are no audit records', async () => {
    const dir = temporaryDirectory();
    const odd = 'ä "b" \\ c';
    put(
      segmentPath(dir, STREAM_A, 0),
      [
        line(0, { event: 'order.placed', attributes: { 'trading.order.id': odd } }),
        line(1, { event: 'order.filled', attributes: { 'trading.order.client_id': odd }, traceId: 'ab'.repeat(16) }),
        line(2, { event: 'order.placed', attributes: { 'trading.order.id': 7 } }),
        '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"9","eventName":"order.cancelled","attributes":[{"key":"trading.order.ids","value":{"arrayValue":{"values":[{"stringValue":"L1"},{"stringValue":"L2"}]}}}]}]}]}]}\n',
        line(undefined, { event: 'order.placed', attributes: { 'trading.order.id': 'L2' } }),
        line(undefined, { event: 'risk.trading_state_change', attributes: { 'risk.trading_state.new': 'HALTED' } }),
        'no JSON at all\n\n{"resourceLogs":[]}\n',
        line(9, { event: 'trade.exit', attributes: { 'trading.position.id': odd } }),
      ].join(''),
    );
    await using trail = openTrail(dir, { threads: 2 });
    const asked = [
      { order: odd },
      { order: '7' },
      { order: 'L1' },
      { order: 'L2' },
      { position: odd },
      { at: '14:00' },
    ];
    await expectPlain(trail, dir, asked);
    const found = await indexed(trail, asked);
    expect(found.map((one) => (typeof one === 'string' ? one : one.steps.length))).toEqual([
      2,
      'the trail has no order 7',
      1,
      2,
      1,
      1,
    ]);
  });

  it('answers many at once while it is written', async () => {
    const dir = temporaryDirectory();
    const path = segmentPath(dir, STREAM_A, 0);
    put(path, FIRST);
    await using trail = openTrail(dir, { threads: 2 });
    const asking = Array.from({ length: 40 }, async (_, at) => {
      appendFileSync(path, refusal(3 + at));
      return (await trail.explain({ ...HALT, verify: false })).answer;
    });
    for (const answer of await Promise.all(asking))
      expect(answer).toMatch(/\d+ requests? (was|were) refused meanwhile/);
    await expectPlain(trail, dir, [HALT]);
  });

  it('is looked through by threads where it is large, and not for longer than allowed', async () => {
    const dir = temporaryDirectory();
    const body = 'x'.repeat(100_000);
    for (let first = 0; first < 90; first += 30) {
      const lines = Array.from({ length: 30 }, (_, at) => line(first + at, { body }));
      lines[7] = change(first + 7, first === 30 ? 'ACTIVE' : 'HALTED');
      put(segmentPath(dir, STREAM_A, first), lines.join(''));
    }
    const asked = [{ at: '2020-03-16T14:00:20.000000000Z' }, { event: id(37) }, { event: id(67) }, { event: id(89) }];
    await using hurried = openTrail(dir, { threads: 2, timeoutMs: 1 });
    await expect(hurried.explain({ ...asked[0], verify: false })).rejects.toMatchObject({ code: 'SQL_TIMEOUT' });
    await using trail = openTrail(dir, { threads: 2 });
    await expectPlain(trail, dir, asked);
  });

  it('leaves nothing on disk unless a cache is wanted, and says which can’t be written', async () => {
    const dir = temporaryDirectory();
    put(segmentPath(dir, STREAM_A, 0), FIRST);
    put(segmentPath(dir, STREAM_A, 3), line(3));
    await using trail = openTrail(dir, { threads: 2 });
    await trail.explain({ ...HALT, verify: false });
    expect(readdirSync(dir)).toEqual(['streams']);
    const file = join(temporaryDirectory(), 'file');
    writeFileSync(file, '');
    await using refused = openTrail(dir, { threads: 2, cache: file });
    await expect(refused.explain({ ...HALT, verify: false })).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
    // What was verified are the segments: no index on disk is asked, nor made.
    const cache = join(dir, 'cache');
    await using verified = openTrail(dir, { threads: 2, cache });
    await verified.explain({ ...HALT, verify: true });
    expect(existsSync(cache)).toBe(false);
    await verified.explain({ ...HALT, verify: false });
    expect(existsSync(cache)).toBe(true);
  });
});

describe('a time of day', () => {
  const at = (day: number, hours: number, minutes = 0, seconds = 0) => Date.UTC(2020, 2, day, hours, minutes, seconds);
  /** Halts 10:30 to 11:00 on the 2nd, 10:30:20 to 10:45 on the 4th, from the 5th 23:00 to the 7th 09:00; ends on the 9th. */
  const LINES = [
    change(0, 'HALTED', { timeMs: at(2, 10, 30) }),
    change(1, 'ACTIVE', { timeMs: at(2, 11) }),
    change(2, 'HALTED', { timeMs: at(4, 10, 30, 20) }),
    change(3, 'ACTIVE', { timeMs: at(4, 10, 45) }),
    change(4, 'REDUCING', { timeMs: at(5, 23) }),
    change(5, 'ACTIVE', { timeMs: at(7, 9) }),
    line(6, { timeMs: at(9, 12) }),
  ];
  const trailOf = (lines: readonly string[]): string => {
    const dir = temporaryDirectory();
    put(segmentPath(dir, STREAM_A, 0), lines.join(''));
    return dir;
  };

  it.each([
    [
      '10:30',
      '2020-03-04 10:30:00 UTC, the latest day on which a halt began then',
      /went from .* to HALTED .* 10:30:20 UTC/,
    ],
    ['10:30:20', '2020-03-04 10:30:20 UTC, the latest day on which a halt began then', /HALTED/],
    ['10:50', '2020-03-06 10:50:00 UTC, the latest day on which trading was halted then', /REDUCING/],
    ['08:59', '2020-03-07 08:59:00 UTC, the latest day on which trading was halted then', /REDUCING/],
    ['09:00', '2020-03-06 09:00:00 UTC, the latest day on which trading was halted then', /REDUCING/],
    ['23:00', '2020-03-05 23:00:00 UTC, the latest day on which a halt began then', /REDUCING/],
    ['12:00', '2020-03-06 12:00:00 UTC, the latest day on which trading was halted then', /REDUCING/],
  ])('%s is that of the latest day that has a halt then', async (time, taken, answer) => {
    await using trail = openTrail(trailOf(LINES), { threads: 2 });
    const explained = await trail.explain({ at: time, verify: false });
    expect(explained.answer).toContain(`${time} is taken as ${taken}. Trading`);
    expect(explained.answer).toMatch(answer);
  });

  it('is that of the last record’s day where trading was halted then, or never', async () => {
    await using halted = openTrail(trailOf([...LINES, change(7, 'HALTED', { timeMs: at(9, 13) })]), { threads: 2 });
    const day = 'the day of the trail’s last record';
    expect((await halted.explain({ at: '13:30' })).answer).toContain(
      `taken as 2020-03-09 13:30:00 UTC, ${day}. Trading`,
    );
    expect((await halted.explain({ at: '10:30' })).answer).toContain('taken as 2020-03-04');
    await using never = openTrail(trailOf([line(0), line(1)]), { threads: 2 });
    expect((await never.explain({ at: '13:30' })).answer).toBe(
      `13:30 is taken as 2020-03-16 13:30:00 UTC, ${day}. Nothing halted at 2020-03-16 13:30:00 UTC: the trail has no halt at all.`,
    );
    await expect(never.explain({ at: '24:00' })).rejects.toMatchObject({ code: 'OPTION_INVALID' });
    await expect(never.explain({ at: '9:30' })).rejects.toMatchObject({ code: 'OPTION_INVALID' });
  });

  it('is looked for in each stream by itself', async () => {
    const dir = trailOf(LINES);
    const other = { stream: STREAM_B, timeMs: at(8, 10, 20) };
    put(
      segmentPath(dir, STREAM_B, 0),
      `${change(0, 'HALTED', other)}${change(1, 'ACTIVE', { ...other, timeMs: at(8, 10, 31) })}`,
    );
    await using trail = openTrail(dir, { threads: 2 });
    expect((await trail.explain({ at: '10:25' })).answer).toContain('taken as 2020-03-08 10:25:00 UTC');
    await expectPlain(trail, dir, [{ at: '10:25' }, { at: '10:30' }, { at: '10:31' }]);
  });

  it('leaves a date what it was', async () => {
    await using trail = openTrail(trailOf(LINES), { threads: 2 });
    expect((await trail.explain({ at: '2020-03-06' })).answer).toMatch(/^Trading went from .* to REDUCING/);
    expect((await trail.explain({ at: '2020-03-04' })).answer).toMatch(
      /^Nothing was halted at 2020-03-04 00:00:00 UTC/,
    );
    expect(START_MS).toBeGreaterThan(at(9, 0));
  });
});
