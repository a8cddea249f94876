/** A trail that only listens, for instrumentations in this process. */
import { afterAll, beforeAll, beforeEach } from 'vitest';
import type { KnownOrder } from '../../src/instrumentation/host.ts';

export interface HeardEvent {
  readonly name: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

export interface ListeningHost {
  readonly events: HeardEvent[];
  readonly failures: unknown[];
  readonly known: KnownOrder[];
  durability: 'process' | 'disk';
  /** Names of the events but for `api.call`. */
  names(): string[];
}

const CURRENT = Symbol.for('risktrail.current');

/** Stands for the trail in each test of the file. */
export function listenAsTrail(): ListeningHost {
  const heard: ListeningHost = {
    events: [],
    failures: [],
    known: [],
    durability: 'process',
    names: () => heard.events.map(({ name }) => name).filter((name) => name !== 'api.call'),
  };
  const host = {
    emit(name: string, attributes: Record<string, unknown>) {
      heard.events.push({ name, attributes });
      return `record-${heard.events.length}`;
    },
    async writeAhead(name: string, attributes: Record<string, unknown>, act: (ahead: object) => unknown) {
      return act({ recordId: host.emit(name, attributes) });
    },
    withContext: (_context: object, fn: () => unknown) => fn(),
    openOrders: () => heard.known,
    settings: {
      logRules: [],
      propagateTo: [],
      get durability() {
        return heard.durability;
      },
    },
    report: (error: unknown) => void heard.failures.push(error),
  };
  beforeAll(() => {
    (globalThis as Record<symbol, unknown>)[CURRENT] = host;
  });
  beforeEach(() => {
    heard.events.length = 0;
    heard.failures.length = 0;
    heard.known.length = 0;
    heard.durability = 'process';
  });
  afterAll(() => void delete (globalThis as Record<symbol, unknown>)[CURRENT]);
  return heard;
}
