/** What is looked at on this machine for `risktrail doctor`: Node, the data directory, the key, the clock, the trail's state. */
import { accessSync, constants, statfsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { readSigningKey, SIGNING_KEY_FILE } from '../../audit/journal/keys.ts';
import type { Clock } from '../../core/clock.ts';
import { isLate, isUnsigned, LOW_DISK_BYTES, readTrailStatus } from '../trail-status.ts';
import { type Check, fail, ok, reasonOf, warn } from './check.ts';

const LEAST_NODE = [22, 15] as const;
const NO_DISK_BYTES = 100_000_000;
/** Coarser ticks give records of one moment the same time. */
const COARSE_CLOCK_MS = 1;
const CLOCK_SAMPLES = 200;
/** A clock that does not move in so many looks stands still. */
const MAX_LOOKS = 10_000_000;

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;

/** @param version as `process.versions.node` */
export function checkNode(version: string): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [leastMajor, leastMinor] = LEAST_NODE;
  const enough = major > leastMajor || (major === leastMajor && minor >= leastMinor);
  if (enough) return ok('Node', version);
  return fail('Node', version, `install Node ${LEAST_NODE.join('.')} or newer`);
}

/** Whether the directory can be written, by whom it is owned, and what is free on its volume. */
export function checkDirectory(dataDir: string, userId: number | undefined): readonly Check[] {
  const path = resolve(dataDir);
  const stats = statSync(path, { throwIfNoEntry: false });
  const existing = stats === undefined ? nearestParent(path) : path;
  const checks: Check[] = [];
  if (stats !== undefined && !stats.isDirectory()) {
    return [fail('Data directory', `${path} is a file`, 'name another directory by RISKTRAIL_DATA_DIR')];
  }
  try {
    accessSync(existing, constants.W_OK | constants.X_OK);
    checks.push(
      stats === undefined
        ? warn('Data directory', `${path} does not exist yet`, 'nothing: the first start makes it')
        : ok('Data directory', `${path} can be written`),
    );
  } catch (error) {
    checks.push(
      fail(
        'Data directory',
        `${existing} cannot be written: ${reasonOf(error)}`,
        'give the service’s user write access',
      ),
    );
  }
  if (stats !== undefined && userId !== undefined && stats.uid !== userId) {
    const found = `owned by user ${stats.uid}, and this is user ${userId}`;
    checks.push(warn('Owner', found, 'run the service and its tools as one user, or give both the rights'));
  } else if (stats !== undefined)
    checks.push(ok('Owner', userId === undefined ? 'not told here' : `user ${stats.uid}`));
  const { bavail, bsize } = statfsSync(existing);
  const free = bavail * bsize;
  const found = `${gigabytes(free)} free`;
  if (free < NO_DISK_BYTES)
    checks.push(fail('Disk', found, 'free space now: records will wait in memory, then be lost'));
  else if (free < LOW_DISK_BYTES) checks.push(warn('Disk', found, 'free space, or set RISKTRAIL_RETENTION_DAYS'));
  else checks.push(ok('Disk', found));
  return checks;
}

function nearestParent(path: string): string {
  let parent = dirname(path);
  while (statSync(parent, { throwIfNoEntry: false }) === undefined) parent = dirname(parent);
  return parent;
}

/** @param keyFile path of the key that the settings name; else the data directory's own */
export function checkSigningKey(dataDir: string, keyFile: string | undefined): Check {
  const path = keyFile ?? join(dataDir, SIGNING_KEY_FILE);
  if (keyFile === undefined && statSync(path, { throwIfNoEntry: false }) === undefined) {
    return warn('Signing key', 'none yet', 'nothing: the first start makes one');
  }
  try {
    let warning: string | undefined;
    readSigningKey(path, (message) => {
      warning = message;
    });
    if (warning !== undefined) return warn('Signing key', warning, `chmod 600 ${path}`);
    return ok('Signing key', keyFile === undefined ? 'the directory’s own, for its owner alone' : path);
  } catch (error) {
    return fail(
      'Signing key',
      reasonOf(error),
      'name a PKCS#8 PEM file with an Ed25519 key by RISKTRAIL_SIGNING_KEY_FILE',
    );
  }
}

/** The finest step that the wall clock was seen to make. */
export function checkClock(clock: Clock): Check {
  let finest = Number.POSITIVE_INFINITY;
  let last = clock.now();
  for (let steps = 0, looks = 0; steps < CLOCK_SAMPLES && looks < MAX_LOOKS; looks++) {
    const now = clock.now();
    if (now === last) continue;
    if (now > last) finest = Math.min(finest, now - last);
    last = now;
    steps++;
  }
  const fix = 'look at the host’s clock source: records of one moment get the same time';
  if (finest === Number.POSITIVE_INFINITY) return warn('Clock', 'it stands still', fix);
  const found = `steps of ${finest < 0.001 ? 'less than 1 µs' : `${(finest * 1000).toFixed(1)} µs`}`;
  if (finest <= COARSE_CLOCK_MS) return ok('Clock', found);
  return warn('Clock', found, fix);
}

/** What the trail's own files tell: last checkpoint, backlog, whether somebody writes. */
export function checkTrail(dataDir: string, nowMs: number): readonly Check[] {
  let status: ReturnType<typeof readTrailStatus>;
  try {
    status = readTrailStatus(dataDir, nowMs);
  } catch (error) {
    return [warn('Trail', reasonOf(error), 'start the service once, or name its directory')];
  }
  const checks: Check[] = [];
  const open = status.streams.filter((one) => one.status === 'open');
  const damaged = status.streams.filter((one) => one.status === 'damaged');
  const running = open.filter((one) => one.running === true).length;
  checks.push(ok('Writers', `${running} running, ${open.length - running} not closed in order`));
  if (damaged.length > 0) {
    const names = damaged.map((one) => one.stream).join(', ');
    checks.push(fail('Streams', `damaged: ${names}`, `risktrail verify ${dataDir}`));
  }
  const newest = status.streams
    .flatMap(({ checkpoint }) => (checkpoint === null ? [] : [checkpoint.ageSeconds]))
    .sort((a, b) => a - b)[0];
  const ageText = newest === undefined ? 'none yet' : `${Math.round(newest)} s ago`;
  if (open.some(isUnsigned)) {
    checks.push(fail('Last checkpoint', ageText, 'look at the journal’s errors: risktrail status'));
  } else checks.push(ok('Last checkpoint', ageText));
  const waiting = status.streams.flatMap(({ backlog }) => (backlog === null ? [] : [backlog]));
  const records = waiting.reduce((sum, one) => sum + one.records, 0);
  const oldest = Math.max(0, ...waiting.map(({ seconds }) => seconds));
  if (waiting.length === 0) checks.push(ok('Backlog', 'the trail is not shipped'));
  else if (waiting.some(isLate)) {
    const found = `${records.toLocaleString('en')} records, the oldest for ${Math.round(oldest)} s`;
    checks.push(fail('Backlog', found, 'look at the endpoint below; `risktrail ship` sends what a dead service left'));
  } else checks.push(ok('Backlog', `${records.toLocaleString('en')} records`));
  const rejected = status.streams.reduce((sum, one) => sum + one.rejected, 0);
  if (rejected > 0) {
    checks.push(
      warn(
        'Refused',
        `${rejected} records, for good`,
        'read rejected/ in the stream’s folder: the answer is beside them',
      ),
    );
  }
  return checks;
}

/** What one machine is looked at for. */
export interface MachineOptions {
  readonly dataDir: string;
  /** Key that the settings name; the data directory's own unless given. */
  readonly keyFile: string | undefined;
  readonly clock: Clock;
}

/** Everything on this machine that the trail needs. */
export function checkMachine({ dataDir, keyFile, clock }: MachineOptions): readonly Check[] {
  return [
    checkNode(process.versions.node),
    ...checkDirectory(dataDir, process.getuid?.()),
    checkSigningKey(dataDir, keyFile),
    checkClock(clock),
    ...checkTrail(dataDir, clock.now()),
  ];
}
