/** What was found of an earlier process's trail, at start or behind it, as events. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Journal } from '../audit/journal/journal.ts';
import type { StreamFinding } from '../audit/verify/follow.ts';
import { type CatalogEvent, catalogEvent } from '../catalog/events.ts';
import type { SnapshotFinding } from '../risk/risk-state.ts';
import { BackgroundCheck } from '../state/background-check.ts';
import type { Settings } from './settings.ts';

/** More tell nobody more. */
const MAX_EVENTS = 100;

/** A finding of the check behind the start. */
function findingEvent({ stream, kind, sequence, file, line, detail }: StreamFinding): CatalogEvent {
  return catalogEvent('audit.finding', {
    'audit.finding.kind': kind,
    'audit.finding.detail': detail,
    ...(stream === '' ? {} : { 'audit.finding.stream': stream }),
    ...(sequence === null ? {} : { 'audit.finding.sequence': sequence }),
    ...(file === null ? {} : { 'audit.finding.file': file }),
    ...(line === null ? {} : { 'audit.finding.line': line }),
  });
}

/** Longer values are no easier to read. */
const MAX_VALUE = 200;
const short = (json: string): string => (json.length > MAX_VALUE ? `${json.slice(0, MAX_VALUE)}…` : json);

/** Snapshots that the start did not go by, as the events before them come to something else. */
export function snapshotFindingEvents(findings: readonly SnapshotFinding[], stream: string): readonly CatalogEvent[] {
  return findings.slice(0, MAX_EVENTS).map(({ layer, recordId, differences }) => {
    const differs = differences.map(
      ({ path, folded, snapshot }) =>
        `${path === '' ? 'its state' : path}: the events give ${short(folded)}, the snapshot says ${short(snapshot)}`,
    );
    return catalogEvent('audit.finding', {
      'audit.finding.kind': 'SNAPSHOT_DISAGREES',
      'audit.finding.detail': `${layer}, record ${recordId}: ${differs.join('; ')}`,
      'audit.finding.stream': stream,
    });
  });
}

export interface CheckBehindStart {
  readonly settings: Settings;
  readonly journal: Journal;
  /** Records an event; never throws. */
  emit(event: CatalogEvent): unknown;
  /** Trading is to be halted until a person resumes it. */
  halt(reason: string): void;
  report(error: unknown, where: string): void;
}

/**
 * Begins the check of the whole trail behind a start that verified only its tail. What it finds is recorded, and is met by the
 * same policy as what a start finds: trading that went on is halted, unless the service goes on from such a trail anyway.
 * @returns undefined where it is switched off, or the keys can't be read
 */
export function checkBehindStart({
  settings,
  journal,
  emit,
  halt,
  report,
}: CheckBehindStart): BackgroundCheck | undefined {
  const { verifyAfterStartMs: delayMs, dataDir, onUntrustedTrail } = settings;
  if (delayMs === 0) return undefined;
  const where = 'check of the whole trail';
  let keys: string;
  try {
    keys = readFileSync(join(dataDir, 'verifier.vkey'), 'utf8');
  } catch (error) {
    report(error, where);
    return undefined;
  }
  return new BackgroundCheck({
    ...{ directory: journal.directory, keys, delayMs },
    onFindings(findings) {
      for (const one of findings.slice(0, MAX_EVENTS)) emit(findingEvent(one));
      const { kind, detail, stream } = findings[0]!;
      const hint = kind === 'MISSING_STREAM' ? '; put its folder back: streams go by retention alone' : '';
      if (onUntrustedTrail === 'halt') halt(`${kind} in ${stream === '' ? 'the trail' : stream}: ${detail}${hint}`);
    },
    onError: (error) => report(error, where),
  });
}
