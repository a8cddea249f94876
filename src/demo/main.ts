/** `risktrail demo`: plays the book over twenty years, then reads the trail back, verifies it and tells what happened. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verifyTrail } from '../audit/verify/verify.ts';
import { createManualClock, createSystemClock } from '../core/clock.ts';
import { nextTurn } from '../core/next-turn.ts';
import { startRiskTrail } from '../runtime/start.ts';
import { type BookResult, simulatedPace, TrendBook } from './book.ts';
import { createBroker } from './broker.ts';
import { loadMarket } from './market.ts';
import { readStory, type Story, type StoryLine } from './story.ts';

export interface DemoOptions {
  /** Directory of the trail. @default a new one under the system's temporary directory */
  readonly dir?: string | undefined;
  /** Seed of the broker's outages. @default 15 */
  readonly seed?: number | undefined;
  /** The result as JSON. */
  readonly json?: boolean | undefined;
  /** The result only, without a word beforehand. */
  readonly quiet?: boolean | undefined;
  /** Only so many days from the first one on. @default all */
  readonly days?: number | undefined;
}

const DEFAULT_SEED = 15;
/** Days between two breaths, in which the journal's checkpoints are made. */
const BREATH_DAYS = 10;

/**
 * Runs the demo and prints what came of it.
 * @returns exit status: that of the verification
 * @throws RiskTrailError DEMO_DATA_MISSING, and what `startRiskTrail` throws
 */
export async function runDemo(options: DemoOptions = {}): Promise<number> {
  const seed = options.seed ?? DEFAULT_SEED;
  const dataDir = options.dir ?? mkdtempSync(join(tmpdir(), 'risktrail-demo-'));
  const bars = loadMarket().slice(0, options.days);
  if (!options.quiet && !options.json) {
    console.log(
      `Playing ${bars.length.toLocaleString('en')} trading days of the S&P 500 (real prices, ${bars[0]!.date} to ${bars.at(-1)!.date})\n` +
        `through four trend-following sleeves. The broker and its outages are synthetic (seed ${seed}), the path of\n` +
        'prices within a day is derived.\n',
    );
  }
  const machine = createSystemClock();
  const startedMs = machine.monotonic();
  const { book, records } = await play(dataDir, seed, bars);
  const playedMs = machine.monotonic() - startedMs;
  const story = await readStory(dataDir);
  const verifyStartedMs = machine.monotonic();
  const report = await verifyTrail({ paths: [dataDir] });
  const verifyMs = machine.monotonic() - verifyStartedMs;

  const outcome = { dataDir, seed, days: bars.length, book, records, story, playedMs, verifyMs };
  const { exitStatus } = report;
  const checkpoints = report.streams.reduce((sum, stream) => sum + stream.checkpoints, 0);
  if (options.json) console.log(JSON.stringify({ ...outcome, verify: { ok: report.ok, exitStatus, checkpoints } }));
  else printOutcome(outcome, exitStatus, checkpoints);
  return exitStatus;
}

async function play(dataDir: string, seed: number, bars: ReturnType<typeof loadMarket>) {
  const clock = createManualClock(bars[0]!.opensAtMs - 60_000);
  const trail = await startRiskTrail({
    serviceName: 'risktrail-demo',
    environment: 'simulation',
    dataDir,
    clock,
    recordInputs: 'all',
    // Time is simulated: what is periodic is done by the book.
    snapshotIntervalMs: 0,
    healthCheckIntervalMs: 0,
    // Two runs tell the same, however busy the machine, and nothing leaves it.
    stallBudgetMs: 0,
    shipping: 'off',
  });
  const book = new TrendBook(
    trail,
    clock,
    createBroker(bars, seed, () => clock.now()),
    simulatedPace(clock),
  );
  for (const [day, bar] of bars.entries()) {
    await book.trade(bar);
    if (day % BREATH_DAYS === 0) await nextTurn();
  }
  await trail.close('demo finished');
  return { book: book.result(), records: trail.health().journal?.records ?? 0 };
}

interface Outcome {
  readonly dataDir: string;
  readonly book: BookResult;
  readonly records: number;
  readonly story: Story;
  readonly playedMs: number;
  readonly verifyMs: number;
}

function printOutcome(outcome: Outcome, exitStatus: number, checkpoints: number): void {
  const { dataDir, book, records, story, playedMs, verifyMs } = outcome;
  const print = (line = '') => console.log(line);
  for (const { title, lines, omitted } of story.episodes) {
    print(`${title}`);
    if (lines.length === 0) print('  nothing halted and no stop fired');
    printLines(lines);
    if (omitted > 0) print(`  … and ${omitted} more`);
    print();
  }
  print('Why did trading halt? From the first failure to the halt:');
  printLines(story.why);
  print();
  print('What the trail holds:');
  // Checkpoints follow the machine's time: the trail's own records are no part of the story.
  const counts = Object.entries(story.counts)
    .filter(([event]) => !event.startsWith('audit.'))
    .sort(([, a], [, b]) => b - a);
  for (const [event, count] of counts.slice(0, 12)) print(`  ${String(count).padStart(7)}  ${event}`);
  const rest = counts.slice(12).reduce((sum, [, count]) => sum + count, 0);
  print(`  ${String(rest).padStart(7)}  in ${Math.max(0, counts.length - 12)} other kinds`);
  print();
  print(
    `The book: ${book.trades} trades closed, ${book.stopsFired} stops fired, ${book.entriesDenied} entries denied, ` +
      `${book.ordersFailed} orders failed, equity ${book.equity.toLocaleString('en')}.`,
  );
  print(
    `Speed: ${records.toLocaleString('en')} records in ${(playedMs / 1000).toFixed(1)} s ` +
      `(${Math.round((records / playedMs) * 1000).toLocaleString('en')} a second, book and prices included).`,
  );
  const verdict =
    exitStatus === 0 ? 'PASSED: nothing was changed and nothing is missing' : `FAILED, exit status ${exitStatus}`;
  print(`Verify: ${verdict} (${checkpoints} signed checkpoints, ${(verifyMs / 1000).toFixed(1)} s).`);
  print();
  print(`The trail is in ${dataDir}. Ask it:`);
  print(`  ${COMMAND} events ${dataDir} --event 'risk.trading_state_change' --since 2008-10-01 --until 2008-11-01`);
  print(`  ${COMMAND} events ${dataDir} --category enforcement --json | head`);
  print(`  ${COMMAND} verify ${dataDir}`);
}

/** How the command is called from here: a clone has no `dist/`, which `npx risktrail` would need. */
const COMMAND = import.meta.filename.endsWith('.ts') ? 'npm run -s risktrail --' : 'npx risktrail';

function printLines(lines: readonly StoryLine[]): void {
  const width = Math.max(0, ...lines.map(({ what }) => what.length));
  for (const { when, what, cause } of lines) console.log(`  ${when}  ${what.padEnd(width)}  ${cause}`);
}
