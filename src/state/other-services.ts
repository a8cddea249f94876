/** Whose trail a data directory holds. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { inspectStream, STREAMS_DIRECTORY } from '../audit/journal/streams.ts';
import { firstPlaceOf } from './stream-head.ts';
import { toRecordedEvent } from './stream-record.ts';

/**
 * The service whose trail a directory holds, where it holds no stream of `serviceName` and every other service's stream was
 * closed: one that was not may be that of a service that runs beside. Else undefined. No lock is looked at.
 */
export async function otherServiceIn(dataDir: string, serviceName: string): Promise<string | undefined> {
  // As `audit.stream` has it: section 2 of the audit format.
  const own = serviceName.replace(/[^A-Za-z0-9._-]/gu, '_');
  let found: string | undefined;
  for (const id of streamsIn(dataDir)) {
    const place = await firstPlaceOf(join(dataDir, STREAMS_DIRECTORY, id));
    const stream = place === undefined ? undefined : toRecordedEvent(place).attributes['audit.stream'];
    // Of a stream that cannot be read nothing is said here.
    if (typeof stream !== 'string') return undefined;
    const service = stream.slice(0, stream.lastIndexOf('/'));
    if (service === own || inspectStream(dataDir, service, id)?.status !== 'closed') return undefined;
    found ??= service;
  }
  return found;
}

function streamsIn(dataDir: string): string[] {
  try {
    // The newest first: nearly always one of ours.
    return readdirSync(join(dataDir, STREAMS_DIRECTORY)).sort().reverse();
  } catch {
    // There is no trail yet, or the journal will say what is wrong with it.
    return [];
  }
}
