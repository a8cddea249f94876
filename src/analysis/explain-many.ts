/** Explanations of many events at once: what all of them look for is found in a few scans, not in a few for each. */
import { isRiskTrailError } from '../core/errors.ts';
import { type Explanation, explain, type FindRecords } from './explain.ts';
import { literal } from './sql/columns.ts';
import type { TrailDatabase, TrailRecord } from './sql/trail-database.ts';

const SPECIAL = /[\\^$.*+?()[\]{}|]/g;
/** More texts make a pattern that is slower than a second scan. */
const MAX_TEXTS = 2000;

/** Finds for all that ask within one turn of the event loop by one scan, and remembers what was found. */
function batched(database: TrailDatabase): FindRecords {
  const known = new Map<string, Promise<readonly TrailRecord[]>>();
  let waiting:
    | { readonly texts: Set<string>; readonly found: Promise<ReadonlyMap<string, readonly TrailRecord[]>> }
    | undefined;
  const ask = (text: string): Promise<readonly TrailRecord[]> => {
    if (waiting === undefined || waiting.texts.size >= MAX_TEXTS) {
      const texts = new Set<string>();
      const found = new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
        if (waiting?.texts === texts) waiting = undefined;
        return scan(database, [...texts]);
      });
      waiting = { texts, found };
    }
    waiting.texts.add(text);
    return waiting.found.then((all) => all.get(text) ?? []);
  };
  return async (texts) => {
    const found = new Set<TrailRecord>();
    const asked = texts.map((text) => {
      const answer = known.get(text) ?? ask(text);
      known.set(text, answer);
      return answer;
    });
    for (const records of await Promise.all(asked)) for (const record of records) found.add(record);
    return [...found];
  };
}

/** One scan; of each text the records that hold it. */
async function scan(
  database: TrailDatabase,
  texts: readonly string[],
): Promise<ReadonlyMap<string, readonly TrailRecord[]>> {
  const pattern = texts.map((text) => text.replace(SPECIAL, '\\$&')).join('|');
  const records = await database.records(`regexp_matches(json, ${literal(pattern)})`);
  const found = new Map<string, TrailRecord[]>(texts.map((text) => [text, []]));
  const all = [...found];
  for (const record of records) {
    const held = JSON.stringify(record.record, (_, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    );
    for (const [text, of] of all) if (held.includes(text)) of.push(record);
  }
  return found;
}

/**
 * Explains events by their record ids.
 * @returns one for each id, in their order; undefined where the trail has no such record
 * @throws RiskTrailError what `TrailDatabase.query` throws
 */
export function explainMany(
  database: TrailDatabase,
  events: readonly string[],
): Promise<readonly (Omit<Explanation, 'integrity'> | undefined)[]> {
  const find = batched(database);
  return Promise.all(
    events.map(async (event) => {
      try {
        return await explain(find, { event });
      } catch (error) {
        if (isRiskTrailError(error, 'NOTHING_TO_EXPLAIN')) return undefined;
        throw error;
      }
    }),
  );
}
