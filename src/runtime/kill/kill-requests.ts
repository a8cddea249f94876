/**
 * Requests of the kill switch, as files in the data directory: from `risktrail kill` to the processes that write there, and from
 * a process to the one that goes on after it was killed. Whoever may write as the owner of the directory may halt; nobody else.
 */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { makeDirectorySync, replaceFileSync } from '../../audit/journal/durable-file.ts';
import type { KillReport } from './kill-types.ts';

const DIRECTORY = 'kill';
const REQUEST = '.request.json';
const ANSWER = '.answer.json';
const MAX_BYTES = 65_536;

/** What is asked for. */
export interface KillRequest {
  readonly id: string;
  /** Epoch milliseconds. */
  readonly createdMs: number;
  readonly actor: string;
  readonly reason: string;
  readonly flatten: boolean;
  /** Service that is asked. Absent: every one of the directory. */
  readonly service?: string;
  /** Stream of the process that does it by itself, and wrote this to be found by the next one. */
  readonly stream?: string;
  /** Exchange of that process. */
  readonly venue?: string;
}

/** What one process did. */
export interface KillAnswer {
  /** `<service>/<stream UUID>` */
  readonly stream: string;
  readonly state: 'accepted' | 'done';
  /** Names of the exchanges that it knows. */
  readonly venues: readonly string[];
  /** One of each exchange; when it is done. */
  readonly reports: readonly KillReport[];
}

const directoryOf = (dataDir: string) => join(dataDir, DIRECTORY);
const requestPath = (dataDir: string, id: string) => join(directoryOf(dataDir), `${id}${REQUEST}`);

/** Puts a request where processes look. @throws the system's error */
export function writeKillRequest(dataDir: string, request: KillRequest): void {
  makeDirectorySync(directoryOf(dataDir));
  replaceFileSync(requestPath(dataDir, request.id), `${JSON.stringify({ version: 1, ...request })}\n`);
}

/** Takes a request and its answers away. */
export function removeKillRequest(dataDir: string, id: string): void {
  for (const name of namesIn(dataDir)) {
    if (name === `${id}${REQUEST}` || (name.startsWith(`${id}.`) && name.endsWith(ANSWER))) {
      rmSync(join(directoryOf(dataDir), name), { force: true });
    }
  }
}

/** Writes what a process did in the place of what it said before. @throws the system's error */
export function writeKillAnswer(dataDir: string, id: string, answer: KillAnswer): void {
  const stream = answer.stream.slice(answer.stream.lastIndexOf('/') + 1);
  const path = join(directoryOf(dataDir), `${id}.${stream}${ANSWER}`);
  replaceFileSync(path, `${JSON.stringify({ version: 1, ...answer })}\n`);
}

/** Answers to a request so far. */
export function readKillAnswers(dataDir: string, id: string): readonly KillAnswer[] {
  const names = namesIn(dataDir).filter((name) => name.startsWith(`${id}.`) && name.endsWith(ANSWER));
  return names.flatMap((name) => {
    const answer = readOwn(join(directoryOf(dataDir), name)) as KillAnswer | undefined;
    return typeof answer?.stream === 'string' && Array.isArray(answer.reports) ? [answer] : [];
  });
}

/** Ids of the requests that lie there; cheap where nobody ever asked. */
export function listKillRequests(dataDir: string): readonly string[] {
  return namesIn(dataDir).flatMap((name) => (name.endsWith(REQUEST) ? [name.slice(0, -REQUEST.length)] : []));
}

/**
 * A request; undefined where it is gone.
 * @throws Error where it can't be understood, or somebody else than the owner of this process could have written it
 */
export function readKillRequest(dataDir: string, id: string): KillRequest | undefined {
  const path = requestPath(dataDir, id);
  if (!existsSync(path)) return undefined;
  checkOwner(directoryOf(dataDir), lstatSync(directoryOf(dataDir)));
  const given = readOwn(path) as Partial<KillRequest> | undefined;
  const texts = [given?.actor, given?.reason];
  if (given === undefined || given.id !== id || !texts.every(isText) || typeof given.createdMs !== 'number') {
    throw new Error(`${path} is no request of the kill switch`);
  }
  return { ...(given as KillRequest), flatten: given.flatten === true };
}

const isText = (value: unknown): value is string => typeof value === 'string' && value.trim() !== '';

function namesIn(dataDir: string): readonly string[] {
  const directory = directoryOf(dataDir);
  return existsSync(directory) ? readdirSync(directory).sort() : [];
}

function checkOwner(path: string, { uid, mode }: { readonly uid: number; readonly mode: number }): void {
  const own = process.getuid?.();
  if (own === undefined) return;
  if (uid !== own && uid !== 0) throw new Error(`${path} belongs to another user`);
  if ((mode & 0o022) !== 0) throw new Error(`${path} can be written by others than its owner`);
}

/** @returns undefined where there is no such file. @throws Error where it is no plain JSON file of ours */
function readOwn(path: string): unknown {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile() || stats.size > MAX_BYTES) throw new Error(`${path} is no small file`);
    checkOwner(path, stats);
    const bytes = Buffer.alloc(stats.size);
    readSync(fd, bytes, 0, stats.size, 0);
    return JSON.parse(bytes.toString('utf8'));
  } finally {
    closeSync(fd);
  }
}
