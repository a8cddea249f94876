/**
 * Rebuilds a data directory from a copy of its trail, such as the files of a Collector, for another host.
 *
 * The streams of the copy come back record by record, but no start goes on with them: two hosts never continue one stream. A
 * stream of the new host, opened here, names the newest of them, and its `audit.stream_restored` records say how far each
 * reaches. Order of commit: everything is written to `<to>/.restoring` and synced; the keys are moved to their place; last,
 * `streams` is. Until then the target has no trail, and another attempt begins anew.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Clock, hrTimeToNanos, toHrTime } from '../../core/clock.ts';
import { RiskTrailError } from '../../core/errors.ts';
import { VERSION } from '../../version.ts';
import { makeDirectorySync, replaceFileSync, syncDirectorySync } from '../journal/durable-file.ts';
import { openJournal } from '../journal/journal.ts';
import { SIGNING_KEY_FILE, VERIFIER_KEY_FILE } from '../journal/keys.ts';
import { STREAMS_DIRECTORY, streamDirectory } from '../journal/streams.ts';
import { trustHandovers } from '../proof/handover.ts';
import type { VerifierKey } from '../proof/note.ts';
import { handoversBeside } from '../proof/read-handovers.ts';
import { findTrailFiles } from '../read/files.ts';
import { SequenceSet } from '../reconcile/sequence-set.ts';
import { keysBeside } from '../verify/keys.ts';
import { FINDING_EXIT, type VerifyReport, verifyTrail } from '../verify/verify.ts';
import { visitCopiedRecords } from './copied-records.ts';
import { type RebuiltStream, StreamRebuilder } from './stream-rebuilder.ts';

/** What to restore, and where. */
export interface RestoreOptions {
  /** Files and directories of the copy: plain, rotated or compressed. */
  readonly from: readonly string[];
  /** The data directory to be: missing, empty, or holding nothing but a signing key. */
  readonly to: string;
  /** Whose trail, where the copy holds several. */
  readonly service?: string | undefined;
  /** Keys that may have signed the copy. Without, those of `verifier.vkey` files beside it. */
  readonly keys?: readonly VerifierKey[] | undefined;
  /** Checkpoints kept elsewhere, which the copy must reach. */
  readonly anchors?: readonly string[] | undefined;
  /** What a finding that says 1 or 2 brings about. @default 'refuse' */
  readonly onFindings?: 'refuse' | 'restore' | undefined;
  /** The new host's signing key; without it the directory has its own. */
  readonly signingKeyFile?: string | undefined;
  readonly clock: Clock;
  /** Length at which a segment ends. @default 10_000_000 */
  readonly segmentMaxBytes?: number | undefined;
  /** Told of what went wrong on the way without stopping it. */
  readonly onError: (error: unknown, what: string) => void;
}

/** What came of it. */
export interface RestoreReport {
  /** `unchanged`: the target holds the same already. `refused`: nothing was written, `verification` says why. */
  readonly outcome: 'restored' | 'unchanged' | 'refused';
  readonly service: string;
  readonly to: string;
  /** The stream that the new host begins with; absent unless restored now. */
  readonly stream?: string;
  /** Those that came back, oldest first. Empty where it was refused. */
  readonly streams: readonly RebuiltStream[];
  readonly verification: VerifyReport;
  /** 0 restored whole, or there already; else what the verification says. */
  readonly exitStatus: 0 | 1 | 2;
}

const WORK = '.restoring';
const SEGMENT_MAX_BYTES = 10_000_000;
const WARN = { severityNumber: 13, severityText: 'WARN' } as const;

/**
 * Verifies a copy and rebuilds a data directory from it. The same call again changes nothing.
 * @throws RiskTrailError as `verifyTrail`; OPTION_INVALID where the copy holds several services and none is named, or not the
 *   one that is; RESTORE_TARGET_NOT_EMPTY, AUDIT_DIRECTORY_UNUSABLE, SIGNING_KEY_UNREADABLE, SIGNING_KEY_INVALID,
 *   SIGNING_KEY_NOT_ED25519
 */
export async function restoreTrail(options: RestoreOptions): Promise<RestoreReport> {
  const { from, anchors, onFindings = 'refuse' } = options;
  const to = resolve(options.to);
  const found = await findTrailFiles(from);
  const keys =
    options.keys === undefined || options.keys.length === 0
      ? await keysBeside(from, found.keys)
      : trustHandovers(options.keys, await handoversBeside(from, found.keys));
  const verification = await verifyTrail({
    paths: from,
    ...(options.keys === undefined ? {} : { keys: options.keys }),
    ...(anchors === undefined ? {} : { anchors }),
  });
  const service = serviceOf(verification, options.service);
  const exitStatus = statusOf(verification, service);
  const told = { service, to, verification };
  if (exitStatus !== 0 && onFindings === 'refuse') return { ...told, outcome: 'refused', streams: [], exitStatus };
  const holdsTrail = checkTarget(to);
  const work = join(to, WORK);
  makeDirectorySync(to);
  rmSync(work, { recursive: true, force: true });
  try {
    const streams = await rebuild(found.records, work, service, keys, options.segmentMaxBytes ?? SEGMENT_MAX_BYTES);
    if (holdsTrail) {
      await checkSame(to, streams);
      return { ...told, outcome: 'unchanged', streams, exitStatus };
    }
    const stream = await openStream(work, to, streams, keys, exitStatus, options);
    putInPlace(work, to, options.signingKeyFile);
    return { ...told, outcome: 'restored', stream, streams, exitStatus };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const serviceIn = (stream: string): string => stream.slice(0, Math.max(0, stream.lastIndexOf('/')));

/** The service to restore: the one that is named, else the only one. */
function serviceOf({ streams }: VerifyReport, named: string | undefined): string {
  const services = [...new Set(streams.filter((one) => one.records > 0).map(({ stream }) => serviceIn(stream)))];
  const held = services.filter((one) => one !== '').sort();
  // As `audit.stream` has it: section 2 of the audit format.
  const wanted = named?.replace(/[^A-Za-z0-9._-]/gu, '_');
  const only = held.length === 1 ? held[0] : undefined;
  const service = wanted === undefined ? only : held.find((one) => one === wanted);
  if (service === undefined) {
    const received = named ?? 'nothing';
    throw new RiskTrailError('OPTION_INVALID', {
      field: 'service',
      expected: `one that the copy holds (${held.join(', ')})`,
      received,
    });
  }
  return service;
}

/** What the findings about a service say; a line that can be told to no stream may be of any. */
function statusOf({ streams }: VerifyReport, service: string): 0 | 1 | 2 {
  let status: 0 | 1 | 2 = 0;
  for (const { stream, findings } of streams) {
    if (stream !== '' && serviceIn(stream) !== service) continue;
    for (const { kind } of findings) {
      const says = FINDING_EXIT[kind];
      if (says === 1 || (says === 2 && status === 0)) status = says;
    }
  }
  return status;
}

/** @returns whether the target holds a trail, which must then be the same */
function checkTarget(to: string): boolean {
  if (!existsSync(to)) return false;
  if (!statSync(to).isDirectory()) throw notEmpty(to, 'it is no directory');
  const names = readdirSync(to).filter((name) => name !== WORK);
  if (names.includes(STREAMS_DIRECTORY) && readdirSync(join(to, STREAMS_DIRECTORY)).length > 0) return true;
  const other = names.find((name) => ![STREAMS_DIRECTORY, SIGNING_KEY_FILE, VERIFIER_KEY_FILE].includes(name));
  if (other !== undefined) throw notEmpty(to, `${other} is in it`);
  return false;
}

const notEmpty = (path: string, reason: string): RiskTrailError =>
  new RiskTrailError('RESTORE_TARGET_NOT_EMPTY', { path, reason });

async function rebuild(
  files: readonly string[],
  work: string,
  service: string,
  keys: readonly VerifierKey[],
  segmentMaxBytes: number,
): Promise<RebuiltStream[]> {
  const numbers = new Map<string, SequenceSet>();
  await visitCopiedRecords(files, ({ stream, sequence }) => {
    if (serviceIn(stream) !== service) return;
    let set = numbers.get(stream);
    if (set === undefined) {
      set = new SequenceSet();
      numbers.set(stream, set);
    }
    set.add(sequence);
  });
  makeDirectorySync(join(work, STREAMS_DIRECTORY));
  const rebuilders = new Map<string, StreamRebuilder>();
  try {
    for (const [stream, set] of numbers) {
      const directory = streamDirectory(work, stream.slice(stream.lastIndexOf('/') + 1));
      rebuilders.set(stream, new StreamRebuilder(stream, directory, set, keys, segmentMaxBytes));
    }
    await visitCopiedRecords(files, (record) => rebuilders.get(record.stream)?.add(record));
    const streams = [...rebuilders.values()].map((one) => one.finish());
    return streams.sort((a, b) => Number(BigInt(a.lastTime) - BigInt(b.lastTime)));
  } finally {
    for (const one of rebuilders.values()) one.abandon();
  }
}

/** Whether a target that holds a trail holds these streams, record for record; what it has besides is its own. */
async function checkSame(to: string, streams: readonly RebuiltStream[]): Promise<void> {
  const wanted = new Map(streams.map((one) => [one.stream, one]));
  const held = new Map<string, Map<number, string>>();
  const { records } = await findTrailFiles([join(to, STREAMS_DIRECTORY)]);
  await visitCopiedRecords(records, ({ stream, sequence, claim }) => {
    if (!wanted.has(stream)) return;
    let claims = held.get(stream);
    if (claims === undefined) {
      claims = new Map();
      held.set(stream, claims);
    }
    claims.set(sequence, claim);
  });
  for (const { stream, digest } of streams) {
    const claims = held.get(stream);
    if (claims === undefined) throw notEmpty(to, `it holds a trail without the stream ${stream}`);
    const text = createHash('sha256');
    for (const [sequence, claim] of [...claims].sort(([a], [b]) => a - b)) text.update(`${sequence} ${claim}\n`);
    if (text.digest('hex') !== digest) throw notEmpty(to, `its stream ${stream} holds other records than the copy`);
  }
}

/** Begins the new host's stream, which names the newest of the old ones and tells what each came to. */
async function openStream(
  work: string,
  to: string,
  streams: readonly RebuiltStream[],
  keys: readonly VerifierKey[],
  exitStatus: number,
  { clock, from, signingKeyFile, onError }: RestoreOptions,
): Promise<string> {
  const given = join(to, SIGNING_KEY_FILE);
  replaceFileSync(join(work, VERIFIER_KEY_FILE), `${keyLines(to, keys).join('\n')}\n`, 0o644);
  const serviceName = serviceIn(streams.at(-1)!.stream);
  const journal = openJournal({
    dataDir: work,
    serviceName,
    signingKeyFile: signingKeyFile ?? (existsSync(given) ? given : undefined),
    resource: { 'service.name': serviceName },
    scope: { name: 'risktrail', version: VERSION },
    clock,
    onError,
  });
  for (const { stream, records, lastSequence, root, checkpoint, gaps } of streams) {
    journal.append({
      eventName: 'audit.stream_restored',
      ...WARN,
      timeUnixNano: hrTimeToNanos(toHrTime(clock.now())),
      body: `Stream restored from a copy: ${stream} through ${lastSequence}`,
      attributes: {
        'audit.previous.stream': stream,
        ...(checkpoint === undefined ? {} : { 'audit.previous.checkpoint': checkpoint }),
        'audit.restored.last_sequence': lastSequence,
        'audit.restored.records': records,
        ...(root === null ? {} : { 'audit.restored.root': root }),
        ...(gaps.length === 0 ? {} : { 'audit.restored.gaps': gaps.map(({ first, last }) => `${first}-${last}`) }),
        'audit.restored.from': [...from],
        'audit.restored.exit_status': exitStatus,
      },
    });
  }
  await journal.close('restored');
  return journal.stream;
}

/** The keys of the copy, with those that stand in the target. */
function keyLines(to: string, keys: readonly VerifierKey[]): string[] {
  const path = join(to, VERIFIER_KEY_FILE);
  const there = existsSync(path) ? readFileSync(path, 'utf8').split('\n') : [];
  const lines = [...keys.map(({ vkey }) => vkey), ...there.map((line) => line.trim())];
  return [...new Set(lines.filter((line) => line !== ''))];
}

function putInPlace(work: string, to: string, signingKeyFile: string | undefined): void {
  const ownKey = join(work, SIGNING_KEY_FILE);
  if (signingKeyFile === undefined && existsSync(ownKey)) renameSync(ownKey, join(to, SIGNING_KEY_FILE));
  renameSync(join(work, VERIFIER_KEY_FILE), join(to, VERIFIER_KEY_FILE));
  syncDirectorySync(to);
  // An empty folder may be there.
  rmSync(join(to, STREAMS_DIRECTORY), { recursive: true, force: true });
  renameSync(join(work, STREAMS_DIRECTORY), join(to, STREAMS_DIRECTORY));
  syncDirectorySync(to);
}
