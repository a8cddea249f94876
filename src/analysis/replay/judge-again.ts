/** A check of which the trail holds each limit's numbers, not what they were made from, held against other limits. */
import { compileLimits } from '../../risk/portfolio-limits/compile.ts';
import { LIMIT_NAMES, type PortfolioLimitsOptions } from '../../risk/portfolio-limits/options.ts';
import { isBeyond } from '../../risk/portfolio-limits/result.ts';
import type { ReplayGate } from './layers.ts';
import type { RecordedCheck, Step } from './steps.ts';

const strings = (value: unknown): readonly string[] => (Array.isArray(value) ? (value as string[]) : []);
const numbers = (value: unknown): readonly number[] => (Array.isArray(value) ? (value as number[]) : []);

/**
 * A bound, not an exact answer: what is beyond a limit that cuts orders is cut to an unknown quantity, quotients were
 * recorded to six decimals, and limits on rates and like orders counted the orders of then.
 * @param options the limits in force
 * @param changed which of them are not those of then
 */
export function judgeAgain(
  { attributes, recorded }: Extract<Step, { kind: 'told_check' }>,
  options: Readonly<PortfolioLimitsOptions>,
  changed: object | undefined,
  gate: ReplayGate,
  now: number,
): RecordedCheck {
  const quantity = Number(attributes['trading.quantity'] ?? 0);
  const held = Number(attributes['trading.position.quantity'] ?? 0);
  const buys = attributes['trading.side'] === 'buy';
  const text = (name: string) => attributes[name] as string | undefined;
  const reducing = Math.min(quantity, Math.max(0, buys ? -held : held));
  // What only reduces always passes; an input that was unusable is so under any limits.
  if (quantity === reducing || strings(attributes['risk.limits.unevaluated']).length > 0) return recorded;
  const answer = gate.check(
    {
      reduces: false,
      symbol: text('trading.symbol'),
      accountId: text('trading.account.id'),
      strategyId: text('trading.strategy.id'),
      venue: text('trading.venue'),
    },
    now,
  );
  if (!answer.allowed) return { decision: reducing > 0 ? 'cap' : 'deny', quantity: reducing, code: answer.code };
  const types = strings(attributes['risk.limits.type']);
  const codes = strings(attributes['risk.limits.code']);
  const maxima = numbers(attributes['risk.limits.max']);
  const projected = numbers(attributes['risk.limits.projected']);
  let cut: string | undefined;
  for (const limit of compileLimits(options, LIMIT_NAMES).list) {
    const at = types.indexOf(limit.type);
    if (at < 0) continue;
    const isChanged = changed !== undefined && Object.hasOwn(changed, limit.name);
    // Maxima of single symbols and groups stand in the record alone.
    const beyond = isChanged ? isBeyond(projected[at]!, limit.max) : isBeyond(projected[at]!, maxima[at]!);
    if (!beyond || limit.mode === 'warn') continue;
    const wasWarned = !isChanged && recorded.decision === 'allow' && codes[at] === limit.exceededCode;
    if (wasWarned) continue;
    if (limit.mode === 'deny') {
      return { decision: reducing > 0 ? 'cap' : 'deny', quantity: reducing, code: limit.exceededCode };
    }
    cut ??= limit.exceededCode;
  }
  if (cut === undefined) return { decision: 'allow', quantity, code: 'OK' };
  return { decision: 'cap', quantity: Math.min(quantity, recorded.quantity || quantity), code: cut };
}
