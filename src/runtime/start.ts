/** Puts the rooms together: settings → journal → emitter → telemetry → trail. */
import { diag } from '@opentelemetry/api';
import { type Journal, openJournal } from '../audit/journal/journal.ts';
import type { EventFamily, NoFamily } from '../catalog/define-events.ts';
import type { CatalogEvent } from '../catalog/events.ts';
import { prepareCatalog } from '../catalog/prepare.ts';
import { RiskTrailError } from '../core/errors.ts';
import { activeContextAttributes } from '../telemetry/context.ts';
import { type AuditSink, createEmitter } from '../telemetry/emitter.ts';
import { startTelemetry, type Telemetry } from '../telemetry/providers.ts';
import { createRedactor } from '../telemetry/redaction.ts';
import { markAudit } from '../telemetry/sampling.ts';
import { VERSION } from '../version.ts';
import { currentTrail, setCurrentTrail } from './current.ts';
import { createFailures, type Failures } from './failures.ts';
import { trailResource } from './health-line.ts';
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
    warnOfUnused(settings.unusedVariables);
    const trail = await assemble(settings);
    setCurrentTrail(trail as RiskTrail);
    return trail as unknown as RiskTrail<F>;
  } finally {
    starting = false;
  }
}

function warnOfUnused(variables: readonly string[]): void {
  try {
    for (const name of variables) diag.warn(`risktrail: ${name} is set and has no effect yet`);
  } catch {
    // The program's diag logger throws: that is no reason not to start.
  }
}

/** What the trail's first records tell of the settings: plain values, no objects of code. */
function describeSettings(settings: Settings): Record<string, unknown> {
  const { clock, events, spanProcessors, logProcessors, redactPatterns, unusedVariables, ...plain } = settings;
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
  emitter.bind(telemetry.otelLogger, settings.logProcessors.length > 0);
  trail = new RunningTrail({
    settings,
    failures,
    journal,
    services,
    emitter,
    telemetry,
    redactor,
    configuration,
    restored,
  });
  return trail;
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
