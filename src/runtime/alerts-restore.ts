/** The alerts that an earlier process left open, from the end of the trail. */

import { AlertFold, type AlertRecord } from '../alerting/open-alerts.ts';
import { listSegments } from '../audit/journal/segment-files.ts';
import { listStreams, type StreamEntry } from '../audit/journal/streams.ts';
import type { RecordedEvent } from '../risk/recorded-event.ts';
import { backwardLines } from '../state/backward-lines.ts';
import { placeOf, toRecordedEvent } from '../state/stream-record.ts';

/** Beyond so many lines without a snapshot of alerts, none were evaluated. */
const MAX_LINES = 100_000;
const SNAPSHOT = 'alert.snapshot';

/**
 * Reads the streams of a service from the newest back to the last snapshot of its alerts. Streams whose writer lives are
 * passed over, but for the own one: their alerts are theirs.
 * @param ownStreamId the stream that this process writes
 * @throws the system's error where files can't be read; RiskTrailError FILE_UNREADABLE
 */
export async function readOpenAlerts(
  dataDir: string,
  service: string,
  ownStreamId: string,
): Promise<readonly AlertRecord[]> {
  const events: RecordedEvent[] = [];
  let left = MAX_LINES;
  let snapshot: RecordedEvent | undefined;
  for (const entry of listStreams(dataDir, service)) {
    if (entry.status === 'open' && entry.id !== ownStreamId) continue;
    const read = await readStream(entry, left);
    events.push(...read.events);
    left -= read.lines;
    snapshot = read.snapshot;
    if (snapshot !== undefined || left <= 0) break;
  }
  const fold = new AlertFold();
  // An alert of the snapshot stands as it stood then; what was done about it in other streams comes behind.
  const known = snapshot?.attributes['alert.open'] as { alerts?: unknown } | undefined;
  for (const one of Array.isArray(known?.alerts) ? (known.alerts as AlertRecord[]) : []) {
    fold.apply(raisedAgain(one, service));
    if (one.status === 'ACKNOWLEDGED' || one.status === 'DISMISSED') {
      const name = one.status === 'DISMISSED' ? 'alert.dismissed' : 'alert.acknowledged';
      fold.apply({ name, service, timeMs: one.changedMs, attributes: { 'alert.id': one.id } });
    }
  }
  for (const event of events.toSorted((a, b) => a.timeMs - b.timeMs)) fold.apply({ ...event, service });
  return fold.all();
}

interface StreamAlerts {
  readonly events: readonly RecordedEvent[];
  readonly snapshot: RecordedEvent | undefined;
  readonly lines: number;
}

async function readStream({ directory }: StreamEntry, most: number): Promise<StreamAlerts> {
  const events: RecordedEvent[] = [];
  let lines = 0;
  for (const file of listSegments(directory).toReversed()) {
    for await (const batch of backwardLines(file)) {
      for (const line of batch) {
        if (++lines > most) return { events, snapshot: undefined, lines };
        // A name stands in its line as it is.
        if (!line.includes('"eventName":"alert.')) continue;
        const place = placeOf(line);
        if (place === undefined || !place.event.startsWith('alert.')) continue;
        const event = toRecordedEvent(place);
        if (place.event === SNAPSHOT) return { events, snapshot: event, lines };
        events.push(event);
      }
    }
  }
  return { events, snapshot: undefined, lines };
}

function raisedAgain(one: AlertRecord, service: string) {
  return {
    name: 'alert.raised',
    service,
    timeMs: one.raisedMs,
    attributes: {
      'alert.id': one.id,
      'alert.rule': one.rule,
      'alert.group': one.group,
      'alert.title': one.title,
      'alert.type': one.type,
      'alert.severity': one.severity,
    },
  };
}
