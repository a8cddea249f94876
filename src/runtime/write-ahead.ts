/** Write-ahead: what announces an act is recorded, and where asked for on disk, before the act is done. */
import type { Journal, ReliedOn } from '../audit/journal/journal.ts';
import { RiskTrailError } from '../core/errors.ts';
import type { Settings } from './settings.ts';

/** How far the announcement got before the act. */
export interface AheadRecord {
  /** Record id of the announcement; undefined where it could not be written. */
  readonly recordId: string | undefined;
  /** Whether it is known to be on disk, so that a power cut can't take it. */
  readonly durable: boolean;
}

export interface WriteAheadParts {
  readonly settings: Settings;
  /** Absent when disabled. */
  readonly journal: Journal | undefined;
  /** Records the announcement; never throws. @param reliedOn `commit`: nothing is done before {@link journal} has committed it */
  emit(name: string, attributes: Readonly<Record<string, unknown>>, reliedOn: ReliedOn): string | undefined;
  report(error: unknown, where: string): void;
}

const EXIT_ROLES: readonly unknown[] = ['exit', 'take_profit', 'stop_loss'];

/** Whether the announced order only takes risk away. */
function reduces(attributes: Readonly<Record<string, unknown>>): boolean {
  return attributes['trading.order.reduce_only'] === true || EXIT_ROLES.includes(attributes['trading.order.role']);
}

/**
 * Records `name` and then acts. With `durability: 'disk'` and `name` among `durableEvents` the act begins only after the
 * record is on disk; calls that come together share one `fdatasync`. What `act` returns or throws passes through.
 *
 * Where the disk fails, `auditFailure` decides: `continue` acts all the same and says so to `act` (`durable: false`); the
 * other two refuse what adds risk, and never an exit.
 * @throws RiskTrailError INTENT_NOT_DURABLE: refused, nothing was done
 */
export async function writeAhead<T>(
  parts: WriteAheadParts,
  name: string,
  attributes: Readonly<Record<string, unknown>>,
  act: (ahead: AheadRecord) => T | Promise<T>,
): Promise<T> {
  const { settings, journal } = parts;
  if (journal === undefined || settings.durability !== 'disk' || !settings.durableEvents.includes(name)) {
    return act({ recordId: parts.emit(name, attributes, 'append'), durable: false });
  }
  const recordId = parts.emit(name, attributes, 'commit');
  let failure: unknown = recordId === undefined ? new Error('the record could not be written') : undefined;
  try {
    await journal.commit();
  } catch (error) {
    failure = error;
  }
  if (failure !== undefined) {
    parts.report(failure, `write-ahead ${name}`);
    if (settings.auditFailure !== 'continue' && !reduces(attributes ?? {})) {
      const reason = failure instanceof Error ? failure.message : String(failure);
      throw new RiskTrailError('INTENT_NOT_DURABLE', { event: name, reason }, failure);
    }
  }
  return act({ recordId, durable: failure === undefined });
}
