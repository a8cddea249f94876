/**
 * The torture run: processes that write, ship, seal and prune one trail are killed by `kill -9` at random moments, over and
 * over. Afterwards every record that a process was told to be taken must be there, and everything must verify.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { listSegments } from '../src/audit/journal/segment-files.ts';
import { STREAMS_DIRECTORY } from '../src/audit/journal/streams.ts';
import { parseVerifierKeys, type VerifierKey } from '../src/audit/proof/note.ts';
import { reconcileTrail } from '../src/audit/reconcile/reconcile.ts';
import type { RetentionPolicy } from '../src/audit/retain/prune-plan.ts';
import { type VerifyReport, verifyTrail } from '../src/audit/verify/verify.ts';
import { createSystemClock } from '../src/core/clock.ts';
import { ackPath, readAcks } from './torture-acks.ts';
import { type Census, takeCensus } from './torture-census.ts';
import { createRandom, type Random } from './torture-random.ts';
import { type SinkCounts, TortureSink } from './torture-sink.ts';

const CHILD = fileURLToPath(new URL('./torture-child.ts', import.meta.url));
/** So many of the services are killed while they start, and so many are left to end in order. */
const KILLED_EARLY = 0.15;
const EARLY_MS = 250;
const LEFT_ALONE = 0.03;
/** So often in a run, journal and copy are reconciled to the end, so that there is something to prune. */
const RECONCILIATIONS = 6;
/** So many segments does retention remove in one life, as far as the copy holds them. */
const MOST_PRUNED = 3;
/** So many segments stay in the end. */
const LEFT_SEGMENTS = 4;
/** Nothing takes longer to ship. */
const DEADLINE_MS = 600_000;

/** What a process is to do. */
export interface ChildTask {
  readonly role: 'service' | 'ship' | 'reconcile';
  readonly life: number;
  readonly dataDir: string;
  readonly ackFile: string;
  /** What the receiver has written. */
  readonly copy: string;
  readonly endpoint: string;
  readonly segmentMaxBytes: number;
  /** What retention may remove; nothing where it is empty. */
  readonly policy: RetentionPolicy;
  /** How long it may ship at its end. */
  readonly deadlineMs: number;
  /** How many to emit before it ends by itself. */
  readonly records: number;
  readonly recordsPerSecond: number;
}

/** How much torture. */
export interface TortureOptions {
  /** Empty, or not there yet: the trail, the copy and the acknowledgements come into it. */
  readonly directory: string;
  readonly kills: number;
  /** At least as many records are acknowledged. */
  readonly records: number;
  readonly seed: number;
  /** Mean time from a process's readiness to its death. */
  readonly lifeMs: number;
  readonly segmentMaxBytes: number;
  /** Whether retention removes what the copy holds. */
  readonly pruning: boolean;
  readonly onProgress?: (progress: { readonly kills: number; readonly records: number }) => void;
}

/** What came of it. */
export interface TortureResult {
  readonly kills: Readonly<Record<string, number>>;
  /** Processes that ended in order. */
  readonly ended: number;
  /** Processes that failed by themselves, and what they said. Must be empty. */
  readonly failures: readonly string[];
  /** What processes told on standard error, by number. */
  readonly told: ReadonlyMap<string, number>;
  /** Records that the last reconciliation missed somewhere, or found to differ. Must be 0. */
  readonly unreconciled: number;
  readonly census: Census;
  readonly sink: SinkCounts;
  readonly journal: VerifyReport;
  readonly copy: VerifyReport;
  readonly seconds: number;
}

type Role = ChildTask['role'];

/** How often each kind of process is chosen. */
const SERVICE_SHARE = 0.82;
const ROLE_SHARES: readonly (readonly [Role, number])[] = [
  ['service', SERVICE_SHARE],
  ['ship', 0.14],
  ['reconcile', 0.04],
];

class Torture {
  readonly #options: TortureOptions;
  readonly #random: Random;
  readonly #sink: TortureSink;
  readonly #kills: Record<string, number> = {};
  readonly #failures: string[] = [];
  readonly #told = new Map<string, number>();
  readonly #acknowledged: number[] = [];
  #killed = 0;
  #ended = 0;
  #records = 0;

  constructor(options: TortureOptions, random: Random, sink: TortureSink) {
    this.#options = options;
    this.#random = random;
    this.#sink = sink;
  }

  get #copy(): string {
    return join(this.#options.directory, 'copy');
  }

  get #dataDir(): string {
    return join(this.#options.directory, 'data');
  }

  async run(): Promise<TortureResult> {
    const start = performance.now();
    const { kills, records, directory, pruning, onProgress } = this.#options;
    mkdirSync(join(directory, 'acks'), { recursive: true });
    let reconciled = 0;
    while (this.#killed < kills || this.#records < records) {
      await this.#live(this.#chooseRole());
      if (pruning && this.#killed >= (kills * (reconciled + 1)) / RECONCILIATIONS) {
        reconciled++;
        await this.#process(this.#task('reconcile', 0), undefined);
      }
      onProgress?.({ kills: this.#killed, records: this.#records });
    }
    this.#sink.moody = false;
    const unreconciled = await this.#finish();

    return {
      kills: this.#kills,
      ended: this.#ended,
      failures: this.#failures,
      told: this.#told,
      unreconciled,
      census: await takeCensus(this.#dataDir, this.#copy, this.#acknowledged),
      sink: this.#sink.counts,
      journal: await verifyTrail({ paths: [this.#dataDir] }),
      copy: await verifyTrail({ paths: [this.#copy], keys: await keysOf(this.#dataDir) }),
      seconds: (performance.now() - start) / 1000,
    };
  }

  #chooseRole(): Role {
    let at = this.#random.next();
    for (const [role, share] of ROLE_SHARES) {
      if (at < share) return role;
      at -= share;
    }
    return 'service';
  }

  /** Records a second: as many as come to those asked for by the last kill, and rather sooner than later. */
  #rate(): number {
    const { kills, records, lifeMs } = this.#options;
    const perLife = (asked: number, lives: number) => asked / (lives * (1 - KILLED_EARLY) * SERVICE_SHARE);
    const left = perLife(records - this.#records, Math.max(1, kills - this.#killed));
    return (Math.max(left, perLife(records, kills)) / lifeMs) * 1000;
  }

  /** Often a few segments less than there are, so that each life has something to remove, and not all at once. */
  #policy(): RetentionPolicy {
    const draw = this.#random.next();
    if (!this.#options.pruning || draw < 0.2) return {};
    return { maxSegments: Math.max(2, countSegments(this.#dataDir) - Math.ceil(draw * MOST_PRUNED)) };
  }

  #task(role: Role, records: number): ChildTask {
    const life = this.#acknowledged.length;
    return {
      role,
      life,
      dataDir: this.#dataDir,
      ackFile: ackPath(join(this.#options.directory, 'acks'), life),
      copy: this.#copy,
      endpoint: this.#sink.endpoint,
      segmentMaxBytes: this.#options.segmentMaxBytes,
      policy: this.#policy(),
      deadlineMs: DEADLINE_MS,
      records,
      recordsPerSecond: this.#rate(),
    };
  }

  /** Runs one process to its death. */
  async #live(role: Role): Promise<void> {
    const alone = role === 'service' && this.#random.chance(LEFT_ALONE);
    const early = this.#random.chance(KILLED_EARLY);
    const waitMs = early ? this.#random.next() * EARLY_MS : this.#random.wait(this.#options.lifeMs);
    const task = this.#task(role, alone ? 100 : Number.MAX_SAFE_INTEGER);
    await this.#process(task, alone ? undefined : { waitMs, early });
  }

  /** Without `death`, the process is let end by itself. */
  async #process(task: ChildTask, death: { waitMs: number; early: boolean } | undefined): Promise<void> {
    const child = spawn(process.execPath, [CHILD, JSON.stringify(task)], {
      // Most of a short life is the reading of sources.
      env: { ...process.env, NODE_COMPILE_CACHE: join(this.#options.directory, 'compiled') },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const kill = () => child.kill('SIGKILL');
    let timer: NodeJS.Timeout | undefined;
    if (death?.early) timer = setTimeout(kill, death.waitMs);
    else if (death !== undefined) child.stdout.once('data', () => (timer = setTimeout(kill, death.waitMs)));
    child.stdout.resume();
    let words = '';
    child.stderr.on('data', (chunk) => {
      words += chunk;
    });
    const [status, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    clearTimeout(timer);
    this.#took(task);
    this.#tell(words);
    if (signal === 'SIGKILL') {
      this.#killed++;
      this.#kills[task.role] = (this.#kills[task.role] ?? 0) + 1;
    } else if (status === 0) this.#ended++;
    else this.#failures.push(`${task.role} ${task.life} ended with ${signal ?? status}:\n${words}`);
    if (this.#failures.length > 10) throw new Error(this.#failures.join('\n'));
  }

  #took(task: ChildTask): void {
    const count = readAcks(task.ackFile);
    this.#acknowledged.push(count);
    this.#records += count;
  }

  #tell(words: string): void {
    for (const line of words.split('\n')) {
      // The last one may have been cut off by the kill, numbers differ.
      const kind = line.replace(/[0-9a-f]{8}-[0-9a-f-]{27}|\d+/g, '…').trim();
      if (kind !== '') this.#told.set(kind, (this.#told.get(kind) ?? 0) + 1);
    }
  }

  /** Brings everything to its end, in order. @returns how many records are missing or differ somewhere */
  async #finish(): Promise<number> {
    const policies = this.#options.pruning ? [{}, { maxSegments: LEFT_SEGMENTS }] : [{}];
    for (const policy of policies) {
      await this.#process({ ...this.#task('service', 0), policy }, undefined);
      await this.#process(this.#task('ship', 0), undefined);
      await this.#process(this.#task('reconcile', 0), undefined);
    }
    const { report } = await reconcileTrail({
      directory: this.#dataDir,
      files: [this.#copy],
      clock: createSystemClock(),
    });
    const copies = report.streams.flatMap((stream) => stream.copies);
    return copies.reduce((sum, copy) => sum + copy.missingRecords + copy.differingRecords, 0);
  }
}

function countSegments(dataDir: string): number {
  const streams = join(dataDir, STREAMS_DIRECTORY);
  return existsSync(streams)
    ? readdirSync(streams).reduce((sum, id) => sum + listSegments(join(streams, id)).length, 0)
    : 0;
}

async function keysOf(dataDir: string): Promise<VerifierKey[]> {
  return parseVerifierKeys(await readFile(join(dataDir, 'verifier.vkey'), 'utf8'));
}

/** Runs a torture. */
export async function torture(options: TortureOptions): Promise<TortureResult> {
  const random = createRandom(options.seed);
  const sink = await TortureSink.open(join(options.directory, 'copy'), createRandom(options.seed + 1));
  try {
    return await new Torture(options, random, sink).run();
  } finally {
    await sink.close();
  }
}
