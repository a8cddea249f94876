/**
 * The events by which a stream tells of its own life (section 6 of the audit format), as encoder input.
 */
import { hash } from 'node:crypto';
import { type Clock, hrTimeToNanos, toHrTime } from '../../core/clock.ts';
import type { AuditInput } from '../record/audit-input.ts';
import { canonicalJson } from '../record/value.ts';
import { PRUNED_EVENT, type PruneAccount, pruneAttributes } from './pruned-state.ts';

export { PRUNED_EVENT } from './pruned-state.ts';

/** Version of the audit format that this writer writes. */
const FORMAT_VERSION = 1;
/** Name of a stream's first event. */
export const OPENED_EVENT = 'audit.stream_opened';
/** Name of the event that carries a signed note. */
export const CHECKPOINT_EVENT = 'audit.checkpoint';
/** Name of a stream's last event but for checkpoints. */
export const CLOSED_EVENT = 'audit.stream_closed';

const INFO = { severityNumber: 9, severityText: 'INFO' } as const;
const WARN = { severityNumber: 13, severityText: 'WARN' } as const;

/** A time in which nothing could be written, or only past the journal's own thread. */
export interface Outage {
  /** An error's code, `slow` or `QUOTA`. */
  readonly reason: string;
  /** Epoch milliseconds. */
  readonly fromMs: number;
  /**
   * What a record that is taken survives from here on: `memory` nothing (it waits in this process), `process` the process's
   * end.
   */
  readonly durability: 'memory' | 'process';
  readonly lostRecords: number;
  /** Times of the first and the last of the lost records, decimal nanoseconds; no record between them was kept. */
  readonly lostFrom?: string | undefined;
  readonly lostTo?: string | undefined;
  /** Numbers of records that had been written and were deleted by somebody. */
  readonly missing?: readonly { readonly first: number; readonly last: number }[] | undefined;
}

/** The stream that a data directory held before. */
export interface PreviousStream {
  /** `<service>/<stream UUID>` */
  readonly stream: string;
  /** Its newest signed note, where it has one. */
  readonly checkpoint?: string | undefined;
}

/** Makes the audit events of one journal, each with the time of its making. */
export class SystemEvents {
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  opened(vkey: string, configDigest: string, previous: PreviousStream | undefined): AuditInput {
    return this.#event(OPENED_EVENT, INFO, 'Stream opened', {
      'audit.format.version': FORMAT_VERSION,
      'audit.verifier.key': vkey,
      'audit.config.digest': configDigest,
      ...(previous === undefined ? {} : { 'audit.previous.stream': previous.stream }),
      ...(previous?.checkpoint === undefined ? {} : { 'audit.previous.checkpoint': previous.checkpoint }),
    });
  }

  recovered(records: number, cutBytes: number): AuditInput {
    return this.#event('audit.recovered', WARN, `Stream recovered: ${records} records stand, ${cutBytes} bytes cut`, {
      'audit.recovered.records': records,
      'audit.recovered.cut_bytes': cutBytes,
    });
  }

  segmentSealed(first: number, last: number): AuditInput {
    return this.#event('audit.segment_sealed', INFO, `Segment sealed: ${first} to ${last}`, {
      'audit.segment.first_sequence': first,
      'audit.segment.last_sequence': last,
    });
  }

  degraded(outage: Outage): AuditInput {
    const { reason, fromMs, durability, lostRecords, lostFrom, lostTo, missing = [] } = outage;
    return this.#event('audit.degraded', WARN, degradedBody(outage), {
      'audit.degraded.reason': reason,
      'audit.degraded.durability': durability,
      'audit.degraded.from_time': isoTime(fromMs),
      'audit.degraded.to_time': isoTime(this.#clock.now()),
      'audit.degraded.lost_records': lostRecords,
      ...(lostFrom === undefined ? {} : { 'audit.degraded.lost_from_time': isoTime(Number(lostFrom) / 1e6) }),
      ...(lostTo === undefined ? {} : { 'audit.degraded.lost_to_time': isoTime(Number(lostTo) / 1e6) }),
      ...(missing.length === 0
        ? {}
        : { 'audit.degraded.deleted': missing.map(({ first, last }) => `${first}-${last}`) }),
    });
  }

  segmentPruned(account: PruneAccount): AuditInput {
    const body = `Records 0 to below ${account.size} of ${account.stream} pruned`;
    return this.#event(PRUNED_EVENT, INFO, body, pruneAttributes(account));
  }

  closed(reason: string): AuditInput {
    return this.#event(CLOSED_EVENT, INFO, `Stream closed (${reason})`, { 'audit.closed.reason': reason });
  }

  checkpoint(note: string): AuditInput {
    return this.#event(CHECKPOINT_EVENT, INFO, 'Checkpoint', { 'audit.checkpoint': note });
  }

  #event(
    eventName: string,
    severity: typeof INFO | typeof WARN,
    body: string,
    attributes: Record<string, unknown>,
  ): AuditInput {
    return { eventName, ...severity, body, timeUnixNano: nowNanos(this.#clock), attributes };
  }
}

/** The clock's wall time in decimal nanoseconds. */
export function nowNanos(clock: Pick<Clock, 'now'>): string {
  return hrTimeToNanos(toHrTime(clock.now()));
}

function degradedBody({ reason, durability, lostRecords }: Outage): string {
  if (durability === 'memory') return `Records wait in memory (${reason})`;
  if (reason === 'slow') return `Records waited in memory: ${lostRecords} records lost (${reason})`;
  return `Journal could not be written: ${lostRecords} records lost (${reason})`;
}

function isoTime(epochMs: number): string {
  return new Date(epochMs).toISOString();
}

/** `sha256:<hex>` of a configuration's canonical form; functions and the like don't count. */
export function configDigest(config: unknown): string {
  return `sha256:${hash('sha256', canonicalJson(config), 'hex')}`;
}
