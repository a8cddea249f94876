/** What the demo tells at its end. Everything here is read back from the trail; nothing is remembered from the run. */
import type { FlatRecord } from '../analysis/flat-record.ts';
import { queryTrail } from '../analysis/trail-query.ts';

/** One line of the table. */
export interface StoryLine {
  /** New York time: `2008-10-10 09:31`. */
  readonly when: string;
  readonly what: string;
  readonly cause: string;
}

export interface Episode {
  readonly title: string;
  readonly lines: readonly StoryLine[];
  /** Lines that were left out. */
  readonly omitted: number;
}

export interface Story {
  readonly episodes: readonly Episode[];
  /** From a halt back to the first failure, newest last. */
  readonly why: readonly StoryLine[];
  readonly counts: Readonly<Record<string, number>>;
}

const EPISODES = [
  { title: 'October 2008', days: '2008-10' },
  { title: '6 May 2010, the flash crash', days: '2010-05-06' },
  { title: 'March 2020', days: '2020-03' },
] as const;
const MOST_LINES = 14;

const TOLD = new Set(['risk.trading_state_change', 'risk.trailing_stop.trigger', 'risk.daily_loss_limit']);
const FAILURES = new Set(['risk.circuit_breaker.failure', 'order.outcome_unknown', 'order.rejected']);

const ZONE = new Intl.DateTimeFormat('sv-SE', {
  timeZone: 'America/New_York',
  dateStyle: 'short',
  timeStyle: 'short',
});
const newYork = (record: FlatRecord) => ZONE.format(new Date(record.timestamp));
const text = (record: FlatRecord, name: string) => {
  const value = record[name];
  return value === undefined || value === null
    ? ''
    : typeof value === 'number'
      ? String(Number(value.toFixed(2)))
      : String(value);
};

function tell(record: FlatRecord): StoryLine {
  const when = newYork(record);
  switch (record.event) {
    case 'risk.trading_state_change':
      return {
        when,
        what: `trading ${text(record, 'risk.trading_state.old')} → ${text(record, 'risk.trading_state.new')}`,
        cause: text(record, 'risk.reason'),
      };
    case 'risk.trailing_stop.trigger':
      return {
        when,
        what: `stop fired: ${text(record, 'risk.trailing_stop.id')} (${text(record, 'risk.trailing_stop.side')})`,
        cause: `price ${text(record, 'risk.trailing_stop.current_price')} at level ${text(record, 'risk.trailing_stop.stop_price')}, gap ${text(record, 'risk.trailing_stop.gap')}; best was ${text(record, 'risk.trailing_stop.peak_price')}`,
      };
    default:
      return { when, what: record.event ?? '', cause: record.body };
  }
}

/** Reads the trail once. */
export async function readStory(dataDir: string): Promise<Story> {
  const counts: Record<string, number> = {};
  const episodes = EPISODES.map(({ title, days }) => ({ title, days, lines: [] as StoryLine[], omitted: 0 }));
  const byId = new Map<string, FlatRecord>();
  const failures: FlatRecord[] = [];
  const halts: FlatRecord[] = [];
  for await (const batch of queryTrail([dataDir])) {
    for (const record of batch) {
      const event = record.event ?? '(plain line)';
      counts[event] = (counts[event] ?? 0) + 1;
      if (FAILURES.has(event)) failures.push(record);
      if (event === 'risk.circuit_breaker.state_change' && record.record_id !== null)
        byId.set(record.record_id, record);
      if (event === 'risk.trading_state_change' && record['risk.trading_state.new'] === 'HALTED') halts.push(record);
      if (!TOLD.has(event)) continue;
      const line = tell(record);
      for (const episode of episodes) {
        if (!line.when.startsWith(episode.days)) continue;
        if (episode.lines.length < MOST_LINES) episode.lines.push(line);
        else episode.omitted++;
      }
    }
  }
  return {
    episodes: episodes.map(({ title, lines, omitted }) => ({ title, lines, omitted })),
    why: explainHalt(halts, byId, failures),
    counts: Object.fromEntries(Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

/** The first halt of the episodes that a failing broker brought about, back to the first failure of its window. */
function explainHalt(
  halts: readonly FlatRecord[],
  byId: ReadonlyMap<string, FlatRecord>,
  failures: readonly FlatRecord[],
): readonly StoryLine[] {
  const broken = (halt: FlatRecord) => byId.get(String(halt['risk.cause.record_id']));
  const isBroker = (halt: FlatRecord) => broken(halt)?.['risk.circuit_breaker.name'] === 'broker';
  const inEpisode = (halt: FlatRecord) => EPISODES.some(({ days }) => newYork(halt).startsWith(days));
  const halt = halts.find((one) => isBroker(one) && inEpisode(one)) ?? halts.find(isBroker);
  if (halt === undefined) return [];
  const change = broken(halt)!;
  const needed = Number(change['risk.circuit_breaker.failure_count'] ?? 0);
  const ofBreaker = failures.filter(
    (one) =>
      one.event === 'risk.circuit_breaker.failure' &&
      one['risk.circuit_breaker.name'] === 'broker' &&
      one.sequence !== null &&
      one.sequence < (change.sequence ?? 0),
  );
  const lines = ofBreaker.slice(-needed).map((failure) => {
    const order = failures.find(
      (one) =>
        one.trace_id === failure.trace_id && one.timestamp >= failure.timestamp && one.event?.startsWith('order.'),
    );
    return {
      when: newYork(failure),
      what: `failure ${text(failure, 'risk.circuit_breaker.failure_count')}: ${text(failure, 'error.type')}`,
      cause: `${order === undefined ? '' : `${order.body}, `}order ${order === undefined ? '?' : text(order, 'trading.order.id')}, trace ${failure.trace_id?.slice(0, 8)}`,
    };
  });
  return [
    ...lines,
    { when: newYork(change), what: 'breaker "broker" CLOSED → OPEN', cause: text(change, 'risk.reason') },
    {
      when: newYork(halt),
      what: `trading ${text(halt, 'risk.trading_state.old')} → HALTED`,
      cause: `record ${text(change, 'record_id').slice(0, 13)}…`,
    },
  ];
}
