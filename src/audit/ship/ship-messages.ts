/** What the shipper's two threads tell each other. */
import type { DurablePosition } from '../journal/journal-types.ts';
import type { RejectedRecord } from './rejected.ts';
import type { ShipperSettings } from './settings.ts';
import type { LoopStats } from './ship-loop.ts';

/** What the worker is begun with. */
export interface WorkerStart {
  readonly dataDir: string;
  readonly settings: ShipperSettings;
}

/** To the worker. */
export type WorkerOrder =
  | { readonly kind: 'position'; readonly position: DurablePosition }
  | { readonly kind: 'health'; readonly line: Uint8Array }
  | { readonly kind: 'stop'; readonly deadlineMs: number };

/** Figures of one worker since it began. */
export interface WorkerStats extends LoopStats {
  readonly healthSent: number;
  readonly healthDropped: number;
}

/** From the worker. */
export type WorkerReport =
  | { readonly kind: 'stats'; readonly stats: WorkerStats }
  | { readonly kind: 'rejected'; readonly record: RejectedRecord }
  | { readonly kind: 'error'; readonly message: string; readonly what: string }
  | { readonly kind: 'stopped' };
