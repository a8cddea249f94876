/** Questions that take a processor for long, and how each is answered: in a thread, whose memory goes with it. */
import type { AlertRule } from '../../alerting/rule.ts';
import type { FilterOptions } from '../../analysis/filter.ts';
import { RiskTrailError } from '../../core/errors.ts';

/** Part of a trail: times as `parseBound` gives them. */
interface Range {
  readonly paths: readonly string[];
  readonly from: string | undefined;
  readonly to: string | undefined;
}

/** A question, as it goes to a thread: plain data. */
export type ThreadQuestion =
  | (Range & { readonly kind: 'replay'; readonly set: readonly string[]; readonly limit: number })
  | (Range & { readonly kind: 'check' })
  | (Range & {
      readonly kind: 'sweep';
      readonly sweep: readonly string[];
      readonly set: readonly string[];
      /** A page to look at, or the figures. */
      readonly form: 'html' | 'json';
    })
  | (Range & {
      readonly kind: 'alerts';
      readonly rules: readonly AlertRule[];
      /** Only what these raise. */
      readonly only: readonly string[] | undefined;
    })
  | {
      readonly kind: 'verify';
      readonly paths: readonly string[];
      /** Verifier keys as text; those beside the trail where there is none. */
      readonly keys: readonly string[];
      readonly strict: boolean;
      readonly semantic: boolean;
    }
  | {
      readonly kind: 'workbook';
      readonly paths: readonly string[];
      readonly filter: FilterOptions;
      /** File to write. */
      readonly target: string;
    };

/** Longest answer, in characters. */
export const MAX_ANSWER = 32_000_000;

/**
 * Answers a question.
 * @returns JSON, or a page
 * @throws RiskTrailError ANSWER_TOO_LARGE, and those of what was asked
 */
export async function answerInThread(question: ThreadQuestion): Promise<string> {
  const answer = await ANSWERS[question.kind](question as never);
  const text = typeof answer === 'string' ? answer : JSON.stringify(answer);
  if (text.length > MAX_ANSWER) throw new RiskTrailError('ANSWER_TOO_LARGE', { bytes: text.length, max: MAX_ANSWER });
  return text;
}

type Of<K extends ThreadQuestion['kind']> = Extract<ThreadQuestion, { readonly kind: K }>;

const ANSWERS: { readonly [K in ThreadQuestion['kind']]: (question: Of<K>) => Promise<string | object> } = {
  async replay({ paths, set, from, to, limit }) {
    const { replay } = await import('../../analysis/replay/replay.ts');
    const { rows, ...answer } = await replay(paths, { set, from, to });
    return { ...answer, rows: rows.slice(0, limit), truncated: rows.length > limit, row_count: rows.length };
  },

  async check({ paths, from, to }) {
    const { checkReplay } = await import('../../analysis/replay/replay.ts');
    return checkReplay(paths, { from, to });
  },

  async sweep({ paths, sweep, set, from, to, form }) {
    const { sweepReplay } = await import('../../analysis/replay/replay.ts');
    const answer = await sweepReplay(paths, { sweep, set, from, to });
    if (form === 'json') return answer;
    const { sweepPage } = await import('../../analysis/replay/page.ts');
    return sweepPage(answer);
  },

  async alerts({ paths, rules, only, from, to }) {
    const { evaluateChosen } = await import('../../analysis/alerts.ts');
    return evaluateChosen(paths, rules, { only, since: from, until: to });
  },

  async verify({ paths, keys, strict, semantic }) {
    const { parseVerifierKeys } = await import('../../audit/proof/note.ts');
    const { toReportJson, verifyTrail } = await import('../../audit/verify/verify.ts');
    const { checkTrailSnapshots } = await import('../../analysis/semantic-check.ts');
    const verify = () => verifyTrail({ paths, keys: parseVerifierKeys(keys.join('\n')), strict, threads: 0 });
    const first = await verify();
    // A file that is sealed or pruned while it is read may look like a gap: what is wrong is so the second time as well.
    const report = first.ok ? first : await verify();
    return { ...toReportJson(report), ...(semantic ? { semantic: await checkTrailSnapshots(paths) } : {}) };
  },

  async workbook({ paths, filter, target }) {
    const { openTrail } = await import('../../analysis/index.ts');
    await using trail = openTrail(paths);
    return { records: await trail.export('xlsx', target, filter) };
  },
};
