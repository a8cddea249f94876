/** How a note gets to each kind of anchor. Every writer rejects where it isn't certain that the note arrived. */
import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { replaceFile, syncDirectory } from '../journal/durable-file.ts';
import { parseCheckpoint } from '../proof/note.ts';
import type { AnchorTarget } from './anchor-target.ts';
import { NOTE_SEPARATOR, splitNotes } from './note-list.ts';

/** A note on its way. */
export interface OutgoingNote {
  readonly note: string;
  /** `<service>/<stream UUID>` */
  readonly stream: string;
}

/** Takes one note to its place. */
export type AnchorWriter = (outgoing: OutgoingNote, signal: AbortSignal) => Promise<void>;

const REQUEST_TIMEOUT_MS = 10_000;
const PUBLIC_FILE_MODE = 0o644;
const DIRECTORY_MODE = 0o755;
const MAX_TOLD = 200;

/** The writer of an anchor. */
export function anchorWriter(target: AnchorTarget): AnchorWriter {
  switch (target.kind) {
    case 'file':
      return ({ note }) => appendNote(target.path, note);
    case 'dir':
      return (outgoing) => keepNewest(target.path, outgoing);
    case 'webhook':
      return ({ note }, signal) => postNote(target.url, note, signal);
  }
}

/** Appends a note, and an empty line behind it, in one write; then waits until it is on disk. */
async function appendNote(path: string, note: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: DIRECTORY_MODE });
  const handle = await open(path, 'a+', PUBLIC_FILE_MODE);
  let created = false;
  try {
    const { size } = await handle.stat();
    created = size === 0;
    const last = Buffer.alloc(2);
    if (size > 0) await handle.read(last, 0, 2, Math.max(0, size - 2));
    // What a power cut left behind must not run into the note.
    const torn = size > 0 && last.toString('latin1') !== '\n\n';
    const bytes = Buffer.from(`${torn ? '\n\n' : ''}${note}${NOTE_SEPARATOR}`);
    const { bytesWritten } = await handle.write(bytes);
    if (bytesWritten < bytes.length) throw new Error(`only ${bytesWritten} of ${bytes.length} bytes were written`);
    await handle.datasync();
  } finally {
    await handle.close();
  }
  if (created) await syncDirectory(dirname(path));
}

function checkpointOf(note: string): ReturnType<typeof parseCheckpoint> {
  return parseCheckpoint(note.slice(0, note.lastIndexOf('\n\n') + 1));
}

/**
 * Replaces `<directory>/<stream UUID>/checkpoint`. A note that the trail would take back, being larger or of another root, is
 * kept beside it as `disputed-<size>`, where `readAnchors` finds it: that the anchor holds more than the trail is what it is
 * there to show.
 */
async function keepNewest(directory: string, { note, stream }: OutgoingNote): Promise<void> {
  const folder = join(directory, stream.slice(stream.lastIndexOf('/') + 1));
  const path = join(folder, 'checkpoint');
  await mkdir(folder, { recursive: true, mode: DIRECTORY_MODE });
  const [kept] = splitNotes(await readFile(path, 'utf8').catch(() => ''));
  const dispute = kept === undefined ? undefined : disputeOf(kept, note);
  if (kept !== undefined && dispute !== undefined) {
    await replaceFile(join(folder, `disputed-${dispute.size}`), kept, PUBLIC_FILE_MODE);
    throw new Error(dispute.reason);
  }
  await replaceFile(path, note, PUBLIC_FILE_MODE);
}

/** Why a kept note must not simply be replaced; undefined where it may be. */
function disputeOf(kept: string, note: string): { size: number; reason: string } | undefined {
  const [before, now] = [checkpointOf(kept), checkpointOf(note)];
  if (before === undefined || now === undefined || before.origin !== now.origin) return undefined;
  const { size } = before;
  if (size > now.size) return { size, reason: `the anchor holds a checkpoint of size ${size}, above ${now.size}` };
  if (size < now.size || Buffer.compare(before.root, now.root) === 0) return undefined;
  return { size, reason: `the anchor holds a checkpoint of the same size ${size} and another root` };
}

/** Posts a note; any answer but 2xx is a failure, redirects too. */
async function postNote(url: string, note: string, signal: AbortSignal): Promise<void> {
  const address = new URL(url);
  const headers: Record<string, string> = { 'content-type': 'text/plain; charset=utf-8' };
  if (address.username !== '' || address.password !== '') {
    const user = `${decodeURIComponent(address.username)}:${decodeURIComponent(address.password)}`;
    headers['authorization'] = `Basic ${Buffer.from(user).toString('base64')}`;
    address.username = '';
    address.password = '';
  }
  const response = await fetch(address, {
    method: 'POST',
    headers,
    body: note,
    redirect: 'manual',
    signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
  });
  if (response.ok) {
    await response.body?.cancel();
    return;
  }
  const { value } = (await response.body?.getReader().read()) ?? {};
  const told = value === undefined ? '' : `: ${Buffer.from(value).toString('utf8').slice(0, MAX_TOLD)}`;
  await response.body?.cancel().catch(() => {});
  throw new Error(`HTTP ${response.status}${told}`);
}
