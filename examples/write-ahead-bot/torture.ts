/**
 * Kills the bot with -9, again and again, at random points around its orders, and then counts: is any order at the venue
 * twice, is one missing from the trail, was a limit passed?
 *
 *     node examples/write-ahead-bot/torture.ts --kills 200 --seed 1
 *
 * Exit status: 0 nothing wrong, 1 otherwise.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openTrail } from '../../src/analysis/index.ts';
import { verifyTrail } from '../../src/audit/index.ts';
import { chance, LIMITS } from './signals.ts';
import type { Book } from './venue.ts';

/** The places in the bot at which it is killed; `any` is each of them, `time` is any moment, from outside. */
const POINTS = [
  ...['before', 'checked', 'counting', 'intended', 'sent', 'answered', 'counted', 'told', 'cleaning', 'finishing'],
  ...['any', 'time'],
];
/** A bot that was not killed after so many signals ends, and is started again. */
const SIGNALS = 100_000;
const LIMIT_REACHED = 10;
/** So many kills, and a new account with a new day begins; or as soon as the loss of the day is used up. */
const BLOCK_KILLS = 40;

/** What was counted. */
export interface Counts {
  kills: number;
  /** By the point at which the bot died. */
  readonly points: Record<string, number>;
  rounds: number;
  orders: number;
  intents: number;
  /** Orders that were sent again after a kill, which the venue answered with the first. */
  sentAgain: number;
  /** Checks that refused an order or cut it. */
  refused: number;
  /** Rounds that ended because the loss of the day was used up. */
  lossLimits: number;
  duplicates: number;
  forgotten: number;
  limitsPassed: number;
  /** Sums of the trail that differ from the venue's. */
  wrongSums: number;
  /** Rounds whose trail does not verify. */
  unverified: number;
}

interface Options {
  readonly kills: number;
  readonly seed: number;
  /** So many bots at a time, each with a venue of its own. @default 1 */
  readonly parallel?: number | undefined;
  /** Largest loss of a day; a small one ends many rounds. @default LIMITS.dailyLoss */
  readonly dailyLoss?: number | undefined;
  /** Told of each kill. */
  readonly onKill?: ((kills: number) => void) | undefined;
}

const script = (name: string): string => join(import.meta.dirname, name);

/** Kills the bot so often, and counts. */
export async function torture(options: Options): Promise<Counts> {
  const { kills, seed, parallel = 1, dailyLoss = LIMITS.dailyLoss, onKill } = options;
  const counts: Counts = {
    ...{ kills: 0, points: {}, rounds: 0, orders: 0, intents: 0, sentAgain: 0, refused: 0, lossLimits: 0 },
    ...{ duplicates: 0, forgotten: 0, limitsPassed: 0, wrongSums: 0, unverified: 0 },
  };
  const blocks = Array.from({ length: Math.ceil(kills / BLOCK_KILLS) }, (_, index) => index * BLOCK_KILLS);
  const cache = mkdtempSync(join(tmpdir(), 'write-ahead-cache-'));
  // What is killed leaves no cache: one run in order does.
  const fixed = { seed, cache, dailyLoss, onKill };
  await round(counts, { next: 0, accounts: 0, until: 0 }, fixed);
  const work = async () => {
    for (let from = blocks.shift(); from !== undefined; from = blocks.shift()) {
      const block = { next: from, accounts: 0, until: Math.min(kills, from + BLOCK_KILLS) };
      while (block.next < block.until) await round(counts, block, fixed);
    }
  };
  try {
    await Promise.all(Array.from({ length: parallel }, work));
  } finally {
    rmSync(cache, { recursive: true, force: true });
  }
  return counts;
}

/** Kills of one block that are still to come. */
interface Block {
  next: number;
  /** Accounts that ended before. */
  accounts: number;
  readonly until: number;
}

/** One account at one venue, until the block is through or the loss of the day is used up. */
async function round(
  counts: Counts,
  block: Block,
  {
    seed,
    cache,
    dailyLoss,
    onKill,
  }: Required<Pick<Options, 'seed' | 'dailyLoss'>> & Pick<Start, 'cache'> & Pick<Options, 'onKill'>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'write-ahead-bot-'));
  const dataDir = join(directory, 'data');
  const venue = spawn(process.execPath, [script('venue.ts'), join(directory, 'book.jsonl')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const [chunk] = (await once(venue.stdout, 'data')) as [Buffer];
    const port = chunk.toString().trim();
    const start = { dataDir, port, cache, dailyLoss: dailyLoss ?? LIMITS.dailyLoss };
    if (block.until > 0) counts.rounds++;
    let status: number | null = null;
    while (block.next < block.until && status === null) {
      // Another account meets the same signals: it must not die, or not die, just as the one before.
      const draw = seed * 100_003 + block.next + 7919 * block.accounts;
      const point = POINTS[Math.floor(chance(draw) * POINTS.length)] as string;
      const end = await runBot(start, point, draw);
      status = end.status;
      if (status === null) {
        counts.kills++;
        block.next++;
        counts.points[end.at] = (counts.points[end.at] ?? 0) + 1;
        onKill?.(counts.kills);
      } else if (status === 0) status = null;
    }
    block.accounts++;
    if (status === LIMIT_REACHED) counts.lossLimits++;
    else if (status !== null) throw new Error(`the bot ended with ${status}`);
    // Once more without a kill: what is open is finished.
    const last = (await (await fetch(`http://127.0.0.1:${port}/book`)).json()) as Book;
    const signals = last.orders.reduce((next, one) => Math.max(next, one.signal + 1), 0) + 20;
    await ended(bot(start, signals, {}));
    const book = (await (await fetch(`http://127.0.0.1:${port}/book`)).json()) as Book;
    if (block.until > 0) await count(counts, start, book);
  } finally {
    venue.kill();
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Start {
  readonly dataDir: string;
  readonly port: string;
  /** Where Node keeps compiled code from one start to the next. */
  readonly cache: string;
  readonly dailyLoss: number;
}

function bot({ dataDir, port, cache, dailyLoss }: Start, signals: number, env: Record<string, string>): ChildProcess {
  return spawn(process.execPath, [script('bot.ts'), dataDir, port, String(signals)], {
    env: {
      ...process.env,
      ...env,
      NODE_COMPILE_CACHE: cache,
      DAILY_LOSS: String(dailyLoss),
      OTEL_TRACES_EXPORTER: 'none',
      OTEL_METRICS_EXPORTER: 'none',
      OTEL_LOGS_EXPORTER: 'none',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

const ended = async (child: ChildProcess): Promise<number | null> =>
  child.exitCode ?? (child.signalCode === null ? ((await once(child, 'exit')) as [number | null])[0] : null);

/** Places that come only where a run before left something to finish. */
const RARE = ['cleaning', 'finishing'];

/** @returns its exit status, null where it was killed; and where that was */
async function runBot(start: Start, point: string, draw: number) {
  const chosen = chance(draw + 7);
  if (point !== 'time' && !RARE.includes(point)) {
    const times = 1 + Math.floor(chosen * (point === 'any' ? 60 : 9));
    return { status: await ended(bot(start, SIGNALS, { KILL_AT: `${point}:${times}` })), at: point };
  }
  const child = bot(start, SIGNALS, point === 'time' ? {} : { KILL_AT: `${point}:1` });
  const first = await Promise.race([once(child.stdout!, 'data'), once(child, 'exit')]);
  if (child.signalCode !== null || !Buffer.isBuffer(first[0])) return { status: await ended(child), at: point };
  const timer = setTimeout(() => child.kill('SIGKILL'), chosen * 60);
  const status = await ended(child);
  clearTimeout(timer);
  return { status, at: 'time' };
}

const EXCEEDS = 1e-9;

async function count(counts: Counts, { dataDir, dailyLoss }: Start, book: Book): Promise<void> {
  const report = await verifyTrail({ paths: [dataDir] });
  if (!report.ok) counts.unverified++;
  const intents = new Map<string, number>();
  const fills = new Map<string, number>();
  let position = 0;
  let result = 0;
  const trail = openTrail(dataDir);
  for await (const batch of trail.events()) {
    for (const record of batch) {
      const id = String(record['trading.order.client_id']);
      if (record.event === 'order.intent') intents.set(id, (intents.get(id) ?? 0) + 1);
      else if (record.event === 'order.filled') {
        fills.set(id, (fills.get(id) ?? 0) + 1);
        const quantity = Number(record['trading.quantity']);
        position += record['trading.side'] === 'buy' ? quantity : -quantity;
      } else if (record.event === 'risk.portfolio_limit.check' && record['risk.decision'] !== 'allow') counts.refused++;
      else if (record.event === 'risk.portfolio_limit.update') {
        const change = record['risk.limit.change'] as { type?: string; pnl?: number } | undefined;
        if (change?.type === 'fill') result += change.pnl ?? 0;
      }
    }
  }
  counts.orders += book.orders.length;
  counts.intents += intents.size;
  counts.sentAgain += book.repeats;
  const bySignal = new Map<number, number>();
  let before = 0;
  let pnl = 0;
  for (const order of book.orders) {
    bySignal.set(order.signal, (bySignal.get(order.signal) ?? 0) + 1);
    // Known to the trail before, once; and with one end.
    if (intents.get(order.clientOrderId) !== 1 || fills.get(order.clientOrderId) !== 1) counts.forgotten++;
    const adds = Math.abs(order.position) > Math.abs(before);
    if (adds && (Math.abs(order.position) > LIMITS.position || -pnl > dailyLoss + EXCEEDS)) counts.limitsPassed++;
    before = order.position;
    pnl += order.pnl;
  }
  const booked = new Set(book.orders.map((one) => one.clientOrderId));
  for (const id of [...intents.keys(), ...fills.keys()]) if (!booked.has(id)) counts.forgotten++;
  for (const times of bySignal.values()) counts.duplicates += times - 1;
  if (Math.abs(position - book.position) > EXCEEDS || Math.abs(result - pnl) > 1e-6) counts.wrongSums++;
}

/** How many things are wrong. */
export const wrongs = ({ duplicates, forgotten, limitsPassed, wrongSums, unverified }: Counts): number =>
  duplicates + forgotten + limitsPassed + wrongSums + unverified;

/** The counts as a table in Markdown. */
export function table(counts: Counts): string {
  const points = Object.entries(counts.points).map(([name, times]) => `${name} ${times}`);
  const rows: readonly (readonly [string, string | number])[] = [
    ['kills with -9', counts.kills],
    ['where', points.sort().join(', ')],
    ['accounts (rounds), of them stopped by the loss of the day', `${counts.rounds}, ${counts.lossLimits}`],
    ['orders at the venue', counts.orders],
    ['intents in the trail', counts.intents],
    ['orders sent again after a kill, answered with the first', counts.sentAgain],
    ['checks that refused or cut an order', counts.refused],
    ['**orders twice**', counts.duplicates],
    ['**orders forgotten**', counts.forgotten],
    ['**limits passed**', counts.limitsPassed],
    ['**sums of the trail that differ from the venue**', counts.wrongSums],
    ['**trails that do not verify**', counts.unverified],
  ];
  return ['| | |', '|---|---|', ...rows.map(([name, value]) => `| ${name} | ${value} |`)].join('\n');
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string', default: '200' },
      seed: { type: 'string', default: '1' },
      parallel: { type: 'string', default: '1' },
      'daily-loss': { type: 'string', default: String(LIMITS.dailyLoss) },
    },
  });
  const counts = await torture({
    kills: Number(values.kills),
    seed: Number(values.seed),
    parallel: Number(values.parallel),
    dailyLoss: Number(values['daily-loss']),
    onKill: (kills) => {
      if (kills % 20 === 0) process.stderr.write(`${kills} kills\n`);
    },
  });
  console.log(table(counts));
  process.exitCode = wrongs(counts) === 0 ? 0 : 1;
}
