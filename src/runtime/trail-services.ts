/**
 * What runs beside the journal, in threads and timers of its own: shipping, anchors, sealing, retention, and the report of
 * the trail's own health. Nothing in here is waited for by trading code.
 */
import { parseAnchors } from '../audit/anchor/anchor-target.ts';
import { type AnchorStats, type Anchors, createAnchors } from '../audit/anchor/anchors.ts';
import { writeHealth, writeHealthSync } from '../audit/journal/health-file.ts';
import type { Journal } from '../audit/journal/journal.ts';
import { RetainWorker } from '../audit/retain/retain-worker.ts';
import { Retention } from '../audit/retain/retention.ts';
import { Sealer, type SealerStats } from '../audit/retain/sealer.ts';
import { checkTlsFiles } from '../audit/ship/otlp-client.ts';
import { readShipperSettings, type ShipperSettings } from '../audit/ship/settings.ts';
import { createShipper, type Shipper, type ShipperStats } from '../audit/ship/shipper.ts';
import type { CatalogEvent } from '../catalog/events.ts';
import { createSystemClock } from '../core/clock.ts';
import { healthLine } from './health-line.ts';
import type { Settings } from './settings.ts';
import type { Environment } from './settings-environment.ts';

/** How the services beside the journal are. */
export interface ServiceHealth {
  /** Absent where the trail is not shipped. */
  readonly shipping?: ShipperStats;
  /** Absent where there are none. */
  readonly anchors?: readonly AnchorStats[];
  /** Absent where segments are not sealed. */
  readonly sealing?: SealerStats;
}

export interface TrailServicesOptions {
  readonly settings: Settings;
  readonly journal: Journal;
  readonly shipper: ShipperSettings | undefined;
  /** Records an event; never throws. */
  emit(event: CatalogEvent): string | undefined;
  report(error: unknown, where: string): void;
  /** Told of what comes from outside and is tried again. */
  warn(error: unknown, where: string): void;
}

/** Retention has time: it removes whole segments. */
const RETENTION_INTERVAL_MS = 10 * 60_000;
/** At the end, what was not sent stays in the journal: the next start sends it. */
const SHIP_LAST_MS = 300;
const ANCHOR_LAST_MS = 300;

/**
 * Where the trail is sent, as the standard variables say.
 * @returns undefined where it stays here
 * @throws RiskTrailError OPTION_INVALID, FILE_UNREADABLE
 */
export function shipperSettings(settings: Settings, env: Environment): ShipperSettings | undefined {
  const disabled =
    settings.disabled || settings.shipping === 'off' || env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true';
  const shipper = disabled ? undefined : readShipperSettings(env);
  if (shipper !== undefined) checkTlsFiles(shipper);
  return shipper;
}

/** Checks the anchors of the settings. @throws RiskTrailError OPTION_INVALID */
export function checkAnchors(settings: Settings): void {
  parseAnchors(settings.anchors.join(','));
}

export class TrailServices {
  readonly #options: TrailServicesOptions;
  readonly #shipper: Shipper | undefined;
  readonly #anchors: Anchors | undefined;
  readonly #runner: RetainWorker | undefined;
  readonly #sealer: Sealer | undefined;
  readonly #retention: Retention | undefined;
  /** The machine's, also where the trail's own time is a simulated one. */
  readonly #clock = createSystemClock();
  readonly #timers: NodeJS.Timeout[] = [];
  #stopping: Promise<void> | undefined;

  /** @throws RiskTrailError FILE_UNREADABLE where a certificate or key of the shipper can't be read */
  constructor(options: TrailServicesOptions) {
    this.#options = options;
    const { settings, journal, report, warn, emit } = options;
    const { dataDir } = settings;
    if (options.shipper !== undefined) {
      this.#shipper = createShipper({
        dataDir,
        settings: options.shipper,
        clock: this.#clock,
        onError: (error, what) => warn(error, `shipper ${what}`),
        onRejected: ({ recordId, answer, stream, sequence }) =>
          emit({
            name: 'audit.record_rejected',
            attributes: {
              'audit.rejected.record_id': recordId,
              'audit.rejected.answer': answer,
              'audit.rejected.stream': stream,
              'audit.rejected.sequence': sequence,
            },
          }),
      });
    }
    const targets = parseAnchors(settings.anchors.join(','));
    if (targets.length > 0) this.#anchors = createAnchors(targets, { clock: this.#clock, onError: warn });
    const policy = {
      days: settings.retentionDays,
      maxBytes: settings.retentionMaxBytes,
      maxSegments: settings.retentionMaxSegments,
    };
    const retains = Object.values(policy).some((value) => value !== undefined);
    if (settings.sealSegments || settings.sealDaily || retains) {
      const onError = (error: unknown, what: string) => report(error, what);
      const clock = this.#clock;
      this.#runner = new RetainWorker({ clock, onError, sealsOnly: !retains });
      const rotateDaily = settings.sealDaily ? () => journal.closeSegment() : undefined;
      const runner = this.#runner;
      this.#sealer = new Sealer({ dataDir, live: journal, runner, clock, onError, rotateDaily });
      if (retains) {
        const shipping = options.shipper !== undefined;
        const sealer = this.#sealer;
        const { clock: recorded } = settings;
        this.#retention = new Retention({
          dataDir,
          journal,
          runner,
          sealer,
          clock: recorded,
          policy,
          shipping,
          onError,
        });
      }
    }
  }

  /** Begins. @param health what `trail.health()` gives */
  start(health: () => object): void {
    const { settings, journal } = this.#options;
    this.#shipper?.start();
    if (this.#shipper !== undefined) journal.onDurable((position) => this.#shipper?.notify(position));
    journal.onCheckpoint(({ size, note }) => {
      this.#anchors?.publish(note, journal.stream);
      if (settings.sealSegments) this.#sealer?.checkpointed(size);
    });
    if (settings.sealSegments) void this.#sealer?.sealEnded();
    if (this.#retention !== undefined) this.#every(RETENTION_INTERVAL_MS, () => void this.#retention?.run());
    if (settings.auditHealthIntervalMs > 0) {
      this.#tellHealth(health);
      this.#every(settings.auditHealthIntervalMs, () => this.#tellHealth(health));
    }
  }

  /** Makes room for the journal's quota. @returns bytes that became free */
  async reclaim(): Promise<number> {
    return (await this.#retention?.reclaim()) ?? (await this.#sealer?.sealLive()) ?? 0;
  }

  health(): ServiceHealth {
    return {
      ...(this.#shipper === undefined ? {} : { shipping: this.#shipper.stats() }),
      ...(this.#anchors === undefined ? {} : { anchors: this.#anchors.stats() }),
      ...(this.#sealer === undefined ? {} : { sealing: this.#sealer.stats() }),
    };
  }

  /** Sends what can be sent in a moment, after the journal was closed. Never rejects; calls share one promise. */
  stop(health: () => object): Promise<void> {
    this.#stopping ??= this.#stop(health);
    return this.#stopping;
  }

  async #stop(health: () => object): Promise<void> {
    this.#end();
    const { report } = this.#options;
    try {
      await Promise.all([this.#shipper?.stop(SHIP_LAST_MS), this.#anchors?.stop(ANCHOR_LAST_MS), this.#runner?.stop()]);
    } catch (error) {
      report(error, 'services');
    }
    this.#lastHealth(health);
  }

  /** The process ends: threads end with it, and nothing may be waited for. */
  stopNow(health: () => object): void {
    if (this.#stopping !== undefined) return;
    this.#end();
    this.#lastHealth(health);
  }

  #end(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#sealer?.stop();
  }

  #lastHealth(health: () => object): void {
    const { settings, journal, report } = this.#options;
    if (settings.auditHealthIntervalMs === 0) return;
    try {
      writeHealthSync(journal.directory, { timeMs: this.#clock.now(), intervalMs: 0, health: { ...health() } });
    } catch (error) {
      report(error, 'health file');
    }
  }

  /** To `risktrail status` by a file, and past the journal to the Collector: a backlog can't be told from behind itself. */
  #tellHealth(health: () => object): void {
    const { settings, journal, report } = this.#options;
    const now = this.#clock.now();
    const stored = { timeMs: now, intervalMs: settings.auditHealthIntervalMs, health: { ...health() } };
    writeHealth(journal.directory, stored).catch((error: unknown) => report(error, 'health file'));
    this.#shipper?.sendHealth(healthLine(settings, now, journal.stats(), this.#shipper.stats()));
  }

  #every(intervalMs: number, act: () => void): void {
    const timer = setInterval(() => {
      try {
        act();
      } catch (error) {
        this.#options.report(error, 'timer');
      }
    }, intervalMs);
    timer.unref();
    this.#timers.push(timer);
  }
}
