/** A verifier's own journal: what it finds becomes `audit.finding` events there. */
import { type Clock, createSystemClock, hrTimeToNanos, toHrTime } from '../../core/clock.ts';
import { VERSION } from '../../version.ts';
import { openJournal } from '../journal/journal.ts';
import type { StreamFinding } from './follow.ts';

/** A journal of findings. */
export interface FindingJournal {
  /** Records a finding. Never throws. */
  add(finding: StreamFinding): void;
  /** Signs what was recorded, and closes the journal. */
  close(): Promise<void>;
}

const ERROR = { severityNumber: 17, severityText: 'ERROR' } as const;

/**
 * Opens the journal of the service `<service>-verifier`. Like any other it can be verified and shipped.
 * @param dataDir made where it is missing; not the directory of the trail that is verified
 * @param stream a stream of the service that is verified: `<service>/<stream UUID>`
 * @param onError told of what goes wrong while it is written
 * @throws RiskTrailError as `openJournal`
 */
export function openFindingJournal(
  dataDir: string,
  stream: string,
  onError: (error: unknown, what: string) => void,
  clock: Clock = createSystemClock(),
): FindingJournal {
  const slash = stream.lastIndexOf('/');
  const serviceName = `${slash > 0 ? stream.slice(0, slash) : 'risktrail'}-verifier`;
  const journal = openJournal({
    dataDir,
    serviceName,
    resource: { 'service.name': serviceName },
    scope: { name: 'risktrail', version: VERSION },
    clock,
    onError,
  });
  return {
    add({ stream: where, kind, sequence, file, line, detail }) {
      journal.append({
        eventName: 'audit.finding',
        ...ERROR,
        timeUnixNano: hrTimeToNanos(toHrTime(clock.now())),
        body: `Verification: ${kind} (${detail})`,
        attributes: {
          'audit.finding.kind': kind,
          'audit.finding.detail': detail,
          ...(where === '' ? {} : { 'audit.finding.stream': where }),
          ...(sequence === null ? {} : { 'audit.finding.sequence': sequence }),
          ...(file === null ? {} : { 'audit.finding.file': file }),
          ...(line === null ? {} : { 'audit.finding.line': line }),
        },
      });
      journal.requestCheckpoint();
    },
    close: () => journal.close('shutdown'),
  };
}
