/** What instrumentations need of the running trail. It is found when a call is made: libraries are loaded before and after it. */
import type { CatalogEvent } from '../catalog/events.ts';
import { createSystemClock } from '../core/clock.ts';

/** An order that the trail knows to be open: what instrumentations read of it. */
export interface KnownOrder {
  readonly orderId?: string;
  readonly clientOrderId?: string;
  readonly filled: number;
}

/** What rules say of the orders of one call. */
export interface OrderCheck {
  /** They are not to be sent; the rejections are recorded. */
  readonly refusal?: Error;
  /** Told of what came of the call. */
  done?(failed: boolean, error: unknown): void;
}

/** The part of a running trail that instrumentations use. A `RiskTrail` is one. */
export interface InstrumentationHost {
  emit(name: never, attributes: never): string | undefined;
  writeAhead<T>(
    name: never,
    attributes: never,
    act: (ahead: { readonly recordId: string | undefined }) => T | Promise<T>,
  ): Promise<T>;
  withContext<T>(context: Readonly<Record<string, string | undefined>>, fn: () => T): T;
  openOrders(): readonly KnownOrder[];
  /** Told of an exchange object that places orders, each time: `risktrail kill` reaches it. */
  knowExchange?(exchange: object): void;
  /**
   * Asked before orders of one call are sent. Never throws.
   * @param change `edit` where they are changes of orders that are at the venue
   * @returns undefined where nothing stands in front of them
   */
  checkOrders?(
    exchange: object,
    orders: readonly Readonly<Record<string, unknown>>[],
    change?: 'edit',
  ): OrderCheck | undefined;
  /** Told of what a read of an exchange showed. Never throws. */
  sawRead?(exchange: object, operation: string, args: readonly unknown[], result: unknown): void;
  readonly settings: {
    readonly logRules: readonly LogRule[];
    readonly propagateTo: readonly string[];
    /** An SDK of the program's own runs in this process. */
    readonly attach?: boolean;
    readonly durability: 'process' | 'disk';
  };
  /** Told of our own failures, none of which reach the program. */
  report?(error: unknown, where: string): void;
}

/** A rule that makes an audit event of a logger's line. */
export interface LogRule {
  /** Name of the logger, as the line has it. Absent: every logger. */
  readonly logger?: string;
  /** Least level of the line. Absent: every level. */
  readonly level?: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';
  /** Source of a regular expression that the line's text must match. Absent: every text. */
  readonly match?: string;
  /** Event of the catalogue, or of the service's own. Fields of the line that the event knows become its attributes. */
  readonly event: string;
}

/** The symbols under which any copy of the package finds the trail, and a start that is under way. */
const CURRENT = Symbol.for('risktrail.current');
const STARTING = Symbol.for('risktrail.starting');
const holder = globalThis as { [CURRENT]?: InstrumentationHost | undefined; [STARTING]?: Promise<unknown> | undefined };

/** The running trail; undefined before its start and after its end. */
export const findHost = (): InstrumentationHost | undefined => holder[CURRENT];

/** The start that is under way where `--require` could not wait for it; it doesn't reject. */
export const startingHost = (): Promise<unknown> | undefined => holder[STARTING];

/** Tells that a start is under way, and when it isn't any more. */
export function setStartingHost(start: Promise<unknown> | undefined): void {
  holder[STARTING] = start;
}

/** Durations of calls: the machine's clock, also where the trail's own time is a simulated one. */
export const machineClock = createSystemClock();

/** Records an event of the catalogue. Never throws. @returns its record id */
export function record(host: InstrumentationHost, event: CatalogEvent): string | undefined {
  return host.emit(event.name as never, event.attributes as never);
}

/** Runs work of ours; what it throws is told and nothing else. */
export function guarded(host: InstrumentationHost | undefined, where: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    try {
      host?.report?.(error, where);
    } catch {
      // Nobody is left to tell.
    }
  }
}
