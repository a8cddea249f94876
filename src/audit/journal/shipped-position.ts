/**
 * How far a stream has left the machine: the shipper's cursor, in the stream's `state` folder. It is written only after the
 * receiver's answer, so it may lag behind what the receiver holds, and never runs ahead of it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { replaceFile } from './durable-file.ts';
import { STATE_DIRECTORY } from './segment-files.ts';

const SHIPPED_FILE = 'shipped.json';

/** What a receiver has acknowledged of one stream. */
export interface ShippedPosition {
  /** `<service>/<stream UUID>`. */
  readonly stream: string;
  /** Records with a number below it are acknowledged, or set aside in `rejected/`. */
  readonly sequence: number;
  /** Where they went, without user, password or query. */
  readonly endpoint: string;
  /** The stream was closed in order and all of it is acknowledged: there is nothing left to look for. */
  readonly complete: boolean;
}

/** Path of the file. */
export function shippedPositionPath(directory: string): string {
  return join(directory, STATE_DIRECTORY, SHIPPED_FILE);
}

/**
 * The position of the stream in `directory`; undefined where nothing was shipped yet, or where the file can't be understood:
 * then everything is sent again, which is harmless.
 * @throws the system's error where the file is there and can't be read
 */
export function readShippedPosition(directory: string): ShippedPosition | undefined {
  let text: string;
  try {
    text = readFileSync(shippedPositionPath(directory), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  let stored: Partial<Record<string, unknown>>;
  try {
    stored = JSON.parse(text) ?? {};
  } catch {
    return undefined;
  }
  const { version, stream, sequence, endpoint, complete } = stored;
  if (version !== 1 || typeof stream !== 'string' || !Number.isSafeInteger(sequence) || (sequence as number) < 0) {
    return undefined;
  }
  return {
    stream,
    sequence: sequence as number,
    endpoint: typeof endpoint === 'string' ? endpoint : '',
    complete: complete === true,
  };
}

/** Puts a position in the place of the one before, whole or not at all. @throws the system's error */
export async function writeShippedPosition(directory: string, position: ShippedPosition): Promise<void> {
  const { stream, sequence, endpoint, complete } = position;
  const content = { version: 1, stream, sequence, endpoint, ...(complete ? { complete } : {}) };
  await replaceFile(shippedPositionPath(directory), `${JSON.stringify(content)}\n`);
}
