/**
 * How much of a stream retention has removed: what a signed `audit.segment_pruned` record says, kept where a start finds it
 * without reading records. In the stream's state folder; where it is missing, the records say it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeHash, parseCheckpoint } from '../proof/note.ts';
import { rootFromHashes, subtreeCount } from '../proof/tree.ts';
import { STATE_DIRECTORY } from './segment-files.ts';

/** Name of the event that accounts for removed records. */
export const PRUNED_EVENT = 'audit.segment_pruned';

/** The account of a removed prefix: `audit.pruned.*` and the `audit.previous.*` that is repeated with it. */
export interface PruneAccount {
  /** `<service>/<stream UUID>` of the stream whose records went. */
  readonly stream: string;
  /** Records below this number may be gone. */
  readonly size: number;
  /** Hashes of the perfect subtrees of those leaves, largest first, in base64. */
  readonly hashes: readonly string[];
  /** The signed note of that size. */
  readonly note: string;
  /** What the stream's first record said of the one before it. */
  readonly previous: { readonly stream: string; readonly checkpoint?: string | undefined } | undefined;
}

/** A signed note's statement, unverified: the signature is the verifier's matter. */
export function noteStatement(note: string): ReturnType<typeof parseCheckpoint> {
  return parseCheckpoint(`${note.split('\n').slice(0, 3).join('\n')}\n`);
}

/** Reads an account from the attributes of a pruned record; undefined where they don't fit each other. */
export function readPruneAccount(attributes: Readonly<Record<string, unknown>>): PruneAccount | undefined {
  const previous = attributes['audit.previous.stream'];
  const checkpoint = attributes['audit.previous.checkpoint'];
  return checkedAccount({
    stream: attributes['audit.pruned.stream'] as string,
    size: attributes['audit.pruned.tree_size'] as number,
    hashes: attributes['audit.pruned.hashes'] as string[],
    note: attributes['audit.pruned.checkpoint'] as string,
    previous:
      typeof previous === 'string'
        ? { stream: previous, ...(typeof checkpoint === 'string' ? { checkpoint } : {}) }
        : undefined,
  });
}

/** The attributes of the record that gives the account. */
export function pruneAttributes(account: PruneAccount): Record<string, unknown> {
  const { stream, size, hashes, note, previous } = account;
  return {
    'audit.pruned.stream': stream,
    'audit.pruned.tree_size': size,
    'audit.pruned.hashes': [...hashes],
    'audit.pruned.checkpoint': note,
    ...(previous === undefined ? {} : { 'audit.previous.stream': previous.stream }),
    ...(previous?.checkpoint === undefined ? {} : { 'audit.previous.checkpoint': previous.checkpoint }),
  };
}

/** Path of the file of a stream's state folder. */
export function prunedStatePath(directory: string): string {
  return join(directory, STATE_DIRECTORY, 'pruned.json');
}

/** What a pruning may remove, once its account is covered by a checkpoint. */
export interface PrunedState {
  readonly account: PruneAccount;
  /** Files of records below this number go: at most the account's size. `all`: every file of the stream. */
  readonly border: number | 'all';
}

/** The text of {@link readPrunedState}'s file. */
export function formatPrunedState({ account, border }: PrunedState): string {
  return `${JSON.stringify({ version: 1, border, ...account })}\n`;
}

/** The newest pruning of `stream` whose account is covered; undefined where there is none, or none that can be read. */
export function readPrunedState(directory: string, stream: string): PrunedState | undefined {
  try {
    const { version, border, ...rest } = JSON.parse(readFileSync(prunedStatePath(directory), 'utf8'));
    const account = version === 1 && rest.stream === stream ? checkedAccount(rest) : undefined;
    const good = border === 'all' || (Number.isSafeInteger(border) && border <= rest.size);
    return account !== undefined && good ? { account, border } : undefined;
  } catch {
    return undefined;
  }
}

/** The account's subtrees, largest first. */
export function accountHashes(account: PruneAccount): Buffer[] {
  return account.hashes.map((hash) => Buffer.from(hash, 'base64'));
}

/** The hashes must fold to the root that the note states. */
function checkedAccount(account: PruneAccount): PruneAccount | undefined {
  const { stream, size, hashes, note } = account;
  if (typeof stream !== 'string' || !Number.isSafeInteger(size) || size < 1 || typeof note !== 'string')
    return undefined;
  if (!Array.isArray(hashes) || hashes.length !== subtreeCount(size)) return undefined;
  const decoded = hashes.map((hash) => (typeof hash === 'string' ? decodeHash(hash) : undefined));
  if (decoded.includes(undefined)) return undefined;
  const statement = noteStatement(note);
  if (statement?.origin !== stream || statement.size !== size) return undefined;
  return rootFromHashes(decoded as Buffer[]).equals(statement.root) ? account : undefined;
}
