/** Puts the rooms together: settings → journal → emitter → telemetry → trail. */
import { type Journal, openJournal } from '../audit/journal/journal.ts';
import type { EventFamily, NoFamily } from '../catalog/define-events.ts';
import type { CatalogEvent } from '../catalog/events.ts';
import { prepareCatalog } from '../catalog/prepare.ts';
import { createSystemClock } from '../core/clock.ts';
import { RiskTrailError } from '../core/errors.ts';
import { activeContextAttributes } from '../telemetry/context.ts';
import { type AuditSink, createEmitter } from '../telemetry/emitter.ts';
import { startTelemetry, type Telemetry } from '../telemetry/providers.ts';
import { createRedactor } from '../telemetry/redaction.ts';
import { markAudit } from '../telemetry/sampling.ts';
import { VERSION } from '../version.ts';
import type { RunningAlerts } from './alerts.ts';
import type { AlertsOptions } from './alerts-types.ts';
import { currentTrail, setCurrentTrail } from './current.ts';
import { createFailures, type Failures } from './failures.ts';
import { healthAttributes, trailResource } from './health-line.ts';
import { type Restored, refuseOtherService, restoreRisk } from './restore.ts';
import type { RiskTrail } from './risk-trail.ts';
import { RunningTrail } from './running-trail.ts';
import { type RiskTrailOptions, readSettings, type Settings } from './settings.ts';
import { checkAnchors, shipperSettings, TrailServices } from './trail-services.ts';

/** Disabled: nothing is written. */
const NO_SINK: AuditSink = { append: () => ({ state: 'lost' }) };

let starting = false;

/**
 * Starts the trail of this thread.
 * @example
 * const trail = await startRiskTrail({ serviceName: 'momentum-bot' });
 * @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN, SETTINGS_FILE_UNREADABLE, ALREADY_STARTED, AUDIT_DIRECTORY_UNUSABLE,
 *   RESTORE_OTHER_SERVICE, RESTORE_OTHER_ACCOUNT, SIGNING_KEY_UNREADABLE, SIGNING_KEY_INVALID, SIGNING_KEY_NOT_ED25519, KEY_NAME_INVALID: then nothing was started
 */
export async function startRiskTrail<F extends EventFamily = NoFamily>(
  options: RiskTrailOptions<F> = {},
): Promise<RiskTrail<F>> {
  const running = currentTrail();
  if (running !== undefined || starting) {
    throw new RiskTrailError('ALREADY_STARTED', { service: running?.settings.serviceName ?? '' });
  }
  starting = true;
  try {
    const settings = await readSettings({ options });
    const trail = await assemble(settings);
    setCurrentTrail(trail as RiskTrail);
    return trail as unknown as RiskTrail<F>;
  } finally {
    starting = false;
  }
}

/** What the trail's first records tell of the settings: plain values, no objects of code. */
function describeSettings(settings: Settings): Record<string, unknown> {
  const { clock, events, spanProcessors, logProcessors, redactPatterns, ...known } = settings;
  // Addresses of webhooks are secrets, and callbacks are code.
  const plain = { ...known, alerts: known.alerts !== false };
  return { ...plain, redactPatterns: redactPatterns.map(String) };
}

async function assemble(settings: Settings): Promise<RunningTrail> {
  const failures = createFailures(() => settings.clock.now());
  const { report } = failures;
  const redactor = createRedactor({
    enabled: settings.redaction,
    keys: settings.redactKeys,
    except: settings.redactExcept,
    patterns: settings.redactPatterns,
    report,
  });
  const configuration = redactor.deep(describeSettings(settings), 'system.config') as Record<string, unknown>;
  // All that may refuse the settings comes before the journal is opened.
  await refuseOtherService(settings);
  const catalog = prepareCatalog(settings.events === undefined ? [] : [settings.events as EventFamily]);
  const shipper = shipperSettings(settings, process.env);
  checkAnchors(settings);
  const alertsOptions = alertsOf(settings);
  // Loaded where they run: a start without them is quicker.
  const alerting = alertsOptions === undefined ? undefined : await import('./alerts.ts');
  const alertRules = (await alerting?.loadAlertRules(alertsOptions as AlertsOptions)) ?? [];
  let alerts: RunningAlerts | undefined;
  let services: TrailServices | undefined;
  let trail: RunningTrail | undefined;
  const reclaim = async () => (await services?.reclaim()) ?? 0;
  const journal = settings.disabled ? undefined : openTrailJournal(settings, configuration, failures, reclaim);
  const emitter = createEmitter({
    catalog,
    clock: settings.clock,
    redactor,
    sink: journal ?? NO_SINK,
    contextAttributes: activeContextAttributes,
    observe(name, severityNumber, timeMs, attributes) {
      trail?.observe(name, timeMs, attributes);
      alerts?.observe(name, severityNumber, timeMs, attributes);
    },
    markAudit,
    report,
  });
  let telemetry: Telemetry;
  let restored: Restored | undefined;
  try {
    if (journal !== undefined) {
      const emit = (event: CatalogEvent) => trail?.emit(event.name, event.attributes);
      services = new TrailServices({ settings, journal, shipper, emit, report, warn: failures.warn });
    }
    restored = await restoreRisk(settings, journal);
    if (alertsOptions !== undefined && alerting !== undefined && journal !== undefined) {
      const machine = createSystemClock();
      const { AlertActs } = await import('./alert-acts.ts');
      // Before the open alerts are read: what is done about them from here on is new.
      const { dataDir, serviceName: service } = settings;
      const acts = new AlertActs({ dataDir, service, ownId: journal.streamId });
      alerts = new alerting.RunningAlerts({
        options: alertsOptions,
        rules: alertRules,
        service,
        clock: settings.clock,
        acts,
        left: await openAlertsOf(settings, journal, report),
        healthIntervalMs: settings.auditHealthIntervalMs,
        emit: (event) => trail?.emit(event.name, event.attributes),
        report,
        warn: failures.warn,
        health: () => healthAttributes(machine.now(), journal.stats(), services?.health().shipping),
      });
    }
    telemetry = await startTelemetry({
      serviceName: settings.serviceName,
      serviceVersion: settings.serviceVersion,
      environment: settings.environment,
      attach: settings.attach,
      clock: settings.clock,
      env: process.env,
      redactor,
      logProcessors: [emitter.processor],
      furtherLogProcessors: settings.logProcessors,
      spanProcessors: settings.spanProcessors,
      report,
    });
  } catch (error) {
    journal?.closeSync('start_failed');
    throw error;
  }
  const audience = settings.logProcessors.length > 0 ? 'processors' : telemetry.exporting ? 'exporters' : 'none';
  emitter.bind(telemetry.otelLogger, audience);
  trail = new RunningTrail({
    settings,
    failures,
    journal,
    services,
    alerts,
    emitter,
    telemetry,
    redactor,
    configuration,
    restored,
  });
  if (settings.orderRules.length > 0 && journal !== undefined) {
    // Loaded where there are any: a start without them is quicker.
    const { OrderRules } = await import('./order-rules.ts');
    try {
      trail.useOrderRules(new OrderRules(trail.rulesHost(), settings.orderRules));
    } catch (error) {
      await trail.close('start_failed');
      throw error;
    }
  }
  alerts?.start();
  return trail;
}

/** How alerts run; undefined where they don't. */
function alertsOf({ alerts, disabled }: Settings): AlertsOptions | undefined {
  if (alerts === false || disabled) return undefined;
  return alerts === true ? {} : alerts;
}

/** What an earlier process left open. A trail that can't be read costs no start: an alert may be raised again. */
async function openAlertsOf({ dataDir, restore }: Settings, journal: Journal, report: Failures['report']) {
  if (!restore) return [];
  const { stream, streamId } = journal;
  try {
    const { readOpenAlerts } = await import('./alerts-restore.ts');
    return await readOpenAlerts(dataDir, stream.slice(0, stream.lastIndexOf('/')), streamId);
  } catch (error) {
    report(error, 'alerts restore');
    return [];
  }
}

function openTrailJournal(
  settings: Settings,
  config: unknown,
  failures: Failures,
  reclaim: () => Promise<number>,
): Journal {
  return openJournal({
    dataDir: settings.dataDir,
    serviceName: settings.serviceName,
    signingKeyFile: settings.signingKeyFile,
    resource: trailResource(settings),
    scope: { name: 'risktrail', version: VERSION },
    clock: settings.clock,
    segmentMaxBytes: settings.segmentMaxBytes,
    checkpointRecords: settings.checkpointRecords,
    checkpointIntervalMs: settings.checkpointIntervalMs,
    stallBudgetMs: settings.stallBudgetMs,
    waitBufferBytes: settings.waitBufferBytes,
    maxBytes: settings.maxBytes,
    reclaim,
    config,
    onError: (error, what) => failures.report(error, `journal ${what}`),
  });
}
