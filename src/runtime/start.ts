/** Puts the rooms together: settings → journal → emitter → telemetry → trail. */
import { diag } from '@opentelemetry/api';
import { type Journal, openJournal } from '../audit/journal/journal.ts';
import type { EventFamily, NoFamily } from '../catalog/define-events.ts';
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
import type { RiskTrail } from './risk-trail.ts';
import { RunningTrail } from './running-trail.ts';
import { type RiskTrailOptions, readSettings, type Settings } from './settings.ts';

/** Disabled: nothing is written. */
const NO_SINK: AuditSink = { append: () => ({ sequence: undefined }) };

let starting = false;

/**
 * Starts the trail of this thread.
 * @example
 * const trail = await startRiskTrail({ serviceName: 'momentum-bot' });
 * @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN, SETTINGS_FILE_UNREADABLE, ALREADY_STARTED, AUDIT_DIRECTORY_UNUSABLE,
 *   SIGNING_KEY_UNREADABLE, SIGNING_KEY_INVALID, SIGNING_KEY_NOT_ED25519, KEY_NAME_INVALID: then nothing was started
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
  const catalog = prepareCatalog(settings.events === undefined ? [] : [settings.events as EventFamily]);
  const journal = settings.disabled ? undefined : openTrailJournal(settings, configuration, failures);
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
  try {
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
  return new RunningTrail({ settings, failures, journal, emitter, telemetry, redactor, configuration });
}

function openTrailJournal(settings: Settings, config: unknown, failures: Failures): Journal {
  return openJournal({
    dataDir: settings.dataDir,
    serviceName: settings.serviceName,
    signingKeyFile: settings.signingKeyFile,
    resource: {
      'service.name': settings.serviceName,
      ...(settings.serviceVersion === undefined ? {} : { 'service.version': settings.serviceVersion }),
      ...(settings.environment === undefined ? {} : { 'deployment.environment.name': settings.environment }),
    },
    scope: { name: 'risktrail', version: VERSION },
    clock: settings.clock,
    segmentMaxBytes: settings.segmentMaxBytes,
    checkpointRecords: settings.checkpointRecords,
    checkpointIntervalMs: settings.checkpointIntervalMs,
    config,
    onError: (error, what) => failures.report(error, `journal ${what}`),
  });
}
