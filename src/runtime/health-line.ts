/** `audit.health` as one line of OTLP/JSON: it goes past the journal, so no emitter and no stream's number has a part in it. */
import type { JournalStats } from '../audit/journal/journal.ts';
import { coerceAttributes } from '../audit/record/coerce.ts';
import { otlpAttributes } from '../audit/record/value.ts';
import type { ShipperStats } from '../audit/ship/shipper.ts';
import { SEVERITY_NUMBERS } from '../catalog/define.ts';
import { EVENTS, type EventAttributes } from '../catalog/events.ts';
import { hrTimeToNanos, toHrTime } from '../core/clock.ts';
import { VERSION } from '../version.ts';
import type { Settings } from './settings.ts';

const NAME = 'audit.health';

/** Resource attributes of everything that the service's trail writes. */
export function trailResource(settings: Settings): Readonly<Record<string, string>> {
  return {
    'service.name': settings.serviceName,
    ...(settings.serviceVersion === undefined ? {} : { 'service.version': settings.serviceVersion }),
    ...(settings.environment === undefined ? {} : { 'deployment.environment.name': settings.environment }),
  };
}

/**
 * The figures of `audit.health`.
 * @param nowMs epoch milliseconds
 * @param shipping undefined where the trail is not shipped: then nothing waits
 */
export function healthAttributes(
  nowMs: number,
  journal: JournalStats,
  shipping: ShipperStats | undefined,
): EventAttributes<typeof NAME> {
  const { lastCheckpoint, diskFreeBytes } = journal;
  return {
    'audit.health.backlog_records': shipping?.backlogRecords ?? 0,
    'audit.health.backlog_bytes': shipping?.backlogBytes ?? 0,
    'audit.health.backlog_seconds': shipping?.backlogSeconds ?? 0,
    ...(lastCheckpoint === undefined
      ? {}
      : { 'audit.health.checkpoint_age_ms': Math.max(0, nowMs - lastCheckpoint.timeMs) }),
    ...(diskFreeBytes === undefined ? {} : { 'audit.health.disk_free_bytes': diskFreeBytes }),
    'audit.health.journal_mode': journal.mode,
    'audit.health.lost_records': journal.lostRecords,
    'audit.health.waiting_records': journal.waiting.records,
    'audit.health.rejected_records': shipping?.rejectedRecords ?? 0,
    'audit.health.clock_steps': journal.clockSteps,
  };
}

/** @param nowMs epoch milliseconds */
export function healthLine(settings: Settings, nowMs: number, journal: JournalStats, shipping: ShipperStats): string {
  const attributes = healthAttributes(nowMs, journal, shipping);
  const { severity } = EVENTS[NAME];
  const record = [
    `"timeUnixNano":"${hrTimeToNanos(toHrTime(nowMs))}"`,
    `"severityNumber":${SEVERITY_NUMBERS[severity]}`,
    `"severityText":"${severity}"`,
    `"eventName":"${NAME}"`,
    `"body":{"stringValue":"Audit backlog: ${shipping.backlogRecords} records"}`,
    `"attributes":${otlpAttributes(coerceAttributes(attributes))}`,
  ].join(',');
  const resource = otlpAttributes(coerceAttributes(trailResource(settings)));
  const scope = JSON.stringify({ name: 'risktrail', version: VERSION });
  return `{"resourceLogs":[{"resource":{"attributes":${resource}},"scopeLogs":[{"scope":${scope},"logRecords":[{${record}}]}]}]}\n`;
}
