/** Explanations of many events at once. */
import { isRiskTrailError } from '../core/errors.ts';
import { type Explanation, explain } from './explain.ts';
import type { RecordFinder } from './explain-records.ts';

/**
 * Explains events by their record ids.
 * @param find finds the records of all of them: what one has read another need not read again
 * @returns one for each id, in their order; undefined where the trail has no such record
 * @throws RiskTrailError what the finder throws
 */
export async function explainMany(
  find: RecordFinder,
  events: readonly string[],
): Promise<readonly (Omit<Explanation, 'integrity'> | undefined)[]> {
  const explained: (Omit<Explanation, 'integrity'> | undefined)[] = [];
  for (const event of events) {
    try {
      explained.push(await explain(find, { event }));
    } catch (error) {
      if (!isRiskTrailError(error, 'NOTHING_TO_EXPLAIN')) throw error;
      explained.push(undefined);
    }
  }
  return explained;
}
