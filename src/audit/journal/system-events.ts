/**
 * The events by which a stream tells of its own life (section 6 of the audit format), as encoder input.
 */
import { hash } from 'node:crypto';
import { type Clock, hrTimeToNanos, toHrTime } from '../../core/clock.ts';
import type { AuditInput } from '../record/audit-input.ts';
import { canonicalJson } from '../record/value.ts';

/** Version of the audit format that this writer writes. */
const FORMAT_VERSION = 1;
/** Name of the event that carries a signed note. */
export const CHECKPOINT_EVENT = 'audit.checkpoint';
/** Name of a stream's last event but for checkpoints. */
export const CLOSED_EVENT = 'audit.stream_closed';

const INFO = { severityNumber: 9, severityText: 'INFO' } as const;
const WARN = { severityNumber: 13, severityText: 'WARN' } as const;

/** A time in which nothing could be written. */
export interface Outage {
  readonly reason: string;
  /** Epoch milliseconds. */
  readonly fromMs: number;
  readonly lostRecords: number;
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
    return this.#event('audit.stream_opened', INFO, 'Stream opened', {
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

  degraded({ reason, fromMs, lostRecords }: Outage): AuditInput {
    return this.#event(
      'audit.degraded',
      WARN,
      `Journal could not be written: ${lostRecords} records lost (${reason})`,
      {
        'audit.degraded.reason': reason,
        'audit.degraded.from_time': isoTime(fromMs),
        'audit.degraded.to_time': isoTime(this.#clock.now()),
        'audit.degraded.lost_records': lostRecords,
      },
    );
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
export function nowNanos(clock: Clock): string {
  return hrTimeToNanos(toHrTime(clock.now()));
}

function isoTime(epochMs: number): string {
  return new Date(epochMs).toISOString();
}

/** `sha256:<hex>` of a configuration's canonical form; functions and the like don't count. */
export function configDigest(config: unknown): string {
  return `sha256:${hash('sha256', canonicalJson(config), 'hex')}`;
}
