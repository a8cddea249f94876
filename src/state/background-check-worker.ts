/**
 * The thread that verifies a whole trail behind a start which verified only its tail. It yields to everything else on the
 * machine: the time that it takes does not matter.
 */
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { parseVerifierKeys } from '../audit/proof/note.ts';
import { readRecords } from '../audit/read/reader.ts';
import { followVerification, type StreamFinding } from '../audit/verify/follow.ts';
import { createSystemClock } from '../core/clock.ts';
import { lowerThreadPriority, PRIORITY_IS_THREADS } from '../core/thread-priority.ts';
import type { BackgroundCheckInput, BackgroundCheckMessage } from './background-check.ts';
import { previousStreamOf } from './stream-head.ts';

const { directory, keys } = workerData as BackgroundCheckInput;
const tell = (message: BackgroundCheckMessage) => parentPort?.postMessage(message);

const still = new Int32Array(new SharedArrayBuffer(4));
const clock = createSystemClock();
let workedFrom = clock.monotonic();

/** Where the priority is the whole process's, the thread rests for as long as it worked. */
function rest(): void {
  if (PRIORITY_IS_THREADS) return;
  Atomics.wait(still, 0, 0, Math.min(1000, clock.monotonic() - workedFrom));
  workedFrom = clock.monotonic();
}

/** The stream's directory, and those of the streams that it goes on from, as far as they are there. */
async function chain(): Promise<string[]> {
  const directories = [directory];
  for (;;) {
    const previous = await previousStreamOf(directories.at(-1)!).catch(() => undefined);
    if (previous === undefined) return directories;
    const next = join(dirname(directory), previous.stream.slice(previous.stream.lastIndexOf('/') + 1));
    if (directories.includes(next)) return directories;
    directories.push(next);
  }
}

const identityOf = (stream: unknown, kind: unknown, sequence: unknown) => `${stream} ${kind} ${sequence ?? ''}`;

/** What the trail itself says was found before: somebody was told of it then. */
async function knownFindings(paths: readonly string[]): Promise<ReadonlySet<string>> {
  const known = new Set<string>();
  for await (const batch of readRecords(paths)) {
    for (const { eventName, attributes } of batch) {
      if (eventName !== 'audit.finding') continue;
      const {
        'audit.finding.stream': stream = '',
        'audit.finding.kind': kind,
        'audit.finding.sequence': number,
      } = attributes;
      known.add(identityOf(stream, kind, number));
    }
  }
  return known;
}

async function check(): Promise<void> {
  const paths = (await chain()).filter((path) => existsSync(path));
  const found: StreamFinding[] = [];
  const { report } = await followVerification({
    paths,
    keys: parseVerifierKeys(keys),
    threads: 0,
    // One look, or two where the first found something.
    signal: AbortSignal.abort(),
    onFinding: (finding) => void found.push(finding),
    onProgress: ({ records }) => {
      tell({ type: 'progress', records });
      rest();
    },
  });
  const known = found.length === 0 ? new Set<string>() : await knownFindings(paths);
  const isNew = ({ stream, kind, sequence }: StreamFinding) => !known.has(identityOf(stream, kind, sequence));
  const fresh = found.filter(isNew);
  const records = report.streams.reduce((sum, stream) => sum + stream.records, 0);
  tell({ type: 'done', records, findings: fresh, known: found.length - fresh.length });
}

lowerThreadPriority(constants.priority.PRIORITY_LOW);
check().catch((error: unknown) => tell({ type: 'failed', message: (error as Error).message }));
