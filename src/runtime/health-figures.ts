/** The trail's health as the figures that metrics observe. */
import type { HealthFigures } from '../telemetry/health-metrics.ts';
import type { TrailHealth } from './risk-trail.ts';

/** @param nowMs epoch milliseconds */
export function healthFigures({ journal, shipping, dropped, failures }: TrailHealth, nowMs: number): HealthFigures {
  const signedMs = journal?.lastCheckpoint?.timeMs;
  return {
    records: journal?.records,
    bytes: journal?.bytes,
    lostRecords: journal?.lostRecords,
    waitingRecords: journal?.waiting.records,
    uncheckpointed: journal?.uncheckpointed,
    checkpointAgeSeconds: signedMs === undefined ? undefined : Math.max(0, nowMs - signedMs) / 1000,
    diskFreeBytes: journal?.diskFreeBytes,
    backlogRecords: shipping?.backlogRecords,
    backlogBytes: shipping?.backlogBytes,
    backlogSeconds: shipping?.backlogSeconds,
    sentRecords: shipping?.sentRecords,
    rejectedRecords: shipping?.rejectedRecords,
    droppedSpans: dropped.spans,
    droppedLogs: dropped.logs,
    failures: failures.count,
  };
}
