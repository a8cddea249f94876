/** Journals for tests: plain options, events, and a look at what a data directory holds. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AuditInput, type Journal, type JournalOptions, openJournal } from '../../src/audit/journal/journal.ts';
import { listSegments } from '../../src/audit/journal/segment-files.ts';
import { type AuditRecord, readRecords } from '../../src/audit/read/reader.ts';
import { createSystemClock } from '../../src/core/clock.ts';

const clock = createSystemClock();

/** An event with the attributes of a usual one. */
export function testEvent(index: number, more: Partial<AuditInput> = {}): AuditInput {
  return {
    eventName: 'risk.circuit_breaker.state_change',
    severityNumber: 13,
    severityText: 'WARN',
    body: 'Circuit breaker broker: closed to open',
    timeUnixNano: `${1_700_000_000_000_000 + index}000`,
    traceId: '0193f6a011117aaa8bbb123456789abc',
    spanId: '0123456789abcdef',
    flags: 1,
    attributes: { index, 'risk.circuit_breaker.name': 'broker', 'trading.price': 150.25, note: 'Überschuss "x"' },
    ...more,
  };
}

/** Opens a journal. Errors fail the test unless it takes them itself. */
export function openTestJournal(dataDir: string, options: Partial<JournalOptions> = {}): Journal {
  return openJournal({
    dataDir,
    serviceName: 'bot',
    resource: { 'service.name': 'bot' },
    scope: { name: 'risktrail', version: '0.1.0' },
    clock,
    // A test machine that is busy elsewhere isn't a slow disk.
    stallBudgetMs: 0,
    onError(error, what) {
      throw new Error(`${what}: ${error}`);
    },
    ...options,
  });
}

/** A new directory, removed by `remove`. */
export function temporaryDirectory(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'risktrail-journal-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** All audit records below a directory, by stream, in the order of their numbers, each number once. */
export async function recordsByStream(directory: string): Promise<Map<string, AuditRecord[]>> {
  const streams = new Map<string, Map<number, AuditRecord>>();
  for await (const batch of readRecords([directory])) {
    for (const record of batch) {
      if (record.stream === undefined || record.sequence === undefined) continue;
      const known = streams.get(record.stream) ?? new Map<number, AuditRecord>();
      streams.set(record.stream, known.set(record.sequence, record));
    }
  }
  return new Map(
    [...streams].map(([stream, records]) => [
      stream,
      [...records.values()].toSorted((a, b) => a.sequence! - b.sequence!),
    ]),
  );
}

/**
 * What a crash would leave at this moment, as another directory. The lock files stay behind: opening one in the process that
 * holds it would drop the lock.
 */
export function copyAsCrashed(from: string, to: string): string {
  cpSync(from, to, { recursive: true, filter: (path) => !path.endsWith('/lock') });
  return to;
}

/** Paths of a stream's segments, in order. */
export function segmentPaths(journal: { readonly directory: string }): string[] {
  return listSegments(journal.directory).map((file) => file.path);
}

/** The names of the events of a stream, in order. */
export function eventNames(records: readonly AuditRecord[] | undefined): string[] {
  return (records ?? []).map((record) => record.eventName);
}
