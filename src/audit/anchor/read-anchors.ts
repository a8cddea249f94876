/** Reads anchors back: single notes, lists of notes, directories of either. */
import type { Dirent } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RiskTrailError } from '../../core/errors.ts';
import { splitNotes } from './note-list.ts';

/** A note from outside the records, and where it was read. */
export interface AnchorNote {
  readonly path: string;
  readonly note: string;
}

/** A trail may lie below the directory; its records are no anchors. */
const RECORDS = /\.jsonl(?:\.zst)?$/;
/** Larger files are read where they are named, not where they happen to lie in a directory. */
const MAX_FOUND_BYTES = 64_000_000;

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new RiskTrailError('PATH_NOT_FOUND', { path }, error);
    throw new RiskTrailError('FILE_UNREADABLE', { path, reason: message }, error);
  }
}

/** The files below a directory that may hold notes, by name. Names with a dot in front are passed over: `.git` is one. */
async function filesBelow(directory: string): Promise<string[]> {
  let entries: Dirent[];
  try {
    entries = await readdir(directory, { withFileTypes: true });
  } catch (error) {
    throw new RiskTrailError('FILE_UNREADABLE', { path: directory, reason: (error as Error).message }, error);
  }
  const files: string[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(directory, entry.name);
    if (entry.name.startsWith('.')) continue;
    if (entry.isDirectory()) {
      files.push(...(await filesBelow(path)));
    } else if (!RECORDS.test(entry.name)) {
      // Mounted secrets and settings are links to files; links to directories may lead in circles.
      const found = await stat(path).catch(() => undefined);
      if (found?.isFile() && found.size <= MAX_FOUND_BYTES) files.push(path);
    }
  }
  return files;
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/**
 * The notes that the paths hold. A file that is named and holds no whole note is handed out as it is, for a verifier to say
 * what is wrong with it; in a directory such files are passed over.
 * @param paths files of a note or of many, and directories, searched downwards
 * @throws RiskTrailError PATH_NOT_FOUND, FILE_UNREADABLE, ANCHORS_MISSING where a directory holds none
 */
export async function readAnchors(paths: readonly string[]): Promise<AnchorNote[]> {
  const anchors: AnchorNote[] = [];
  for (const path of paths) {
    if (!(await isDirectory(path))) {
      const text = await readText(path);
      const notes = splitNotes(text);
      anchors.push(...(notes.length === 0 ? [text] : notes).map((note) => ({ path, note })));
      continue;
    }
    const before = anchors.length;
    for (const file of await filesBelow(path)) {
      for (const note of splitNotes(await readText(file))) anchors.push({ path: file, note });
    }
    if (anchors.length === before) throw new RiskTrailError('ANCHORS_MISSING', { path });
  }
  return anchors;
}
