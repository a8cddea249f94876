/** What the portfolio limits were given, read back from what they recorded. */
import type { LimitsInput } from '../../risk/portfolio-limits/inputs.ts';
import type { PortfolioLimitsOptions } from '../../risk/portfolio-limits/options.ts';
import type { LimitOrder, Portfolio } from '../../risk/portfolio-limits/portfolio.ts';
import { type LimitsChange, limitsStateOf } from '../../risk/portfolio-limits/state.ts';
import type { RecordedEvent } from '../../risk/recorded-event.ts';
import type { Place, RecordedCheck, Step } from './steps.ts';

type Attributes = RecordedEvent['attributes'];

/** What an event of the limits comes to. */
interface LimitsReading {
  readonly set: string;
  readonly step?: Step;
  readonly decision: boolean;
}

const OTHERS: ReadonlySet<string> = new Set([
  'config.limits_changed',
  'risk.daily_loss_limit',
  'risk.limit_hit',
  'risk.portfolio_health',
  'risk.portfolio_heat_warning',
]);

export class LimitsReader {
  readonly sets = new Set<string>();
  /** Checks and looks at a portfolio whose input is not in the trail. */
  takenOver = 0;
  /** Sets whose newest check or look is taken over: what follows from it is, too. */
  readonly #takenOver = new Set<string>();
  /** Equity that the newest update of each set told of. */
  readonly #equity = new Map<string, unknown>();
  /** Number of the newest record of each set. */
  readonly #newest = new Map<string, number>();

  static reads(name: string): boolean {
    return name.startsWith('risk.portfolio_limit.') || OTHERS.has(name);
  }

  /** A demand of the gate that the limits made: what came of an input goes on behind it. */
  demanded(place: Place): void {
    for (const [set, sequence] of this.#newest)
      if (sequence === place.sequence - 1) this.#newest.set(set, place.sequence);
  }

  /** Whether an event stands right behind others of its set, as what comes of an input does. */
  #follows(set: string, place: Place): boolean {
    return this.#newest.get(set) === place.sequence - 1;
  }

  /** Whether the end of a breach comes of the input before it: an equity between the limit and the peak is not recorded. */
  #isOfLast(set: string, attributes: Attributes, place: Place): boolean {
    const reason = String(attributes['risk.reason'] ?? '');
    return (
      !reason.startsWith('drawdown is back at') ||
      (reason.startsWith('drawdown is back at 0,') && this.#follows(set, place))
    );
  }

  /** @param sparse inputs that changed nothing are not recorded */
  take(event: RecordedEvent, place: Place, sparse: boolean): LimitsReading {
    const reading = this.#take(event, place, sparse);
    this.#newest.set(reading.set, place.sequence);
    return reading;
  }

  #take(event: RecordedEvent, place: Place, sparse: boolean): LimitsReading {
    const { name, attributes } = event;
    const set = String(attributes['risk.limit.set'] ?? 'default');
    const at = attributes['risk.limit.at_ms'];
    const now = typeof at === 'number' ? at : Math.floor(event.timeMs);
    if (name === 'risk.portfolio_limit.snapshot') {
      const state = limitsStateOf(attributes['risk.snapshot']);
      if (state === undefined) return { set, decision: false };
      this.sets.add(set);
      return { set, decision: false, step: { kind: 'limits_snapshot', set, state, place, now } };
    }
    if (!this.sets.has(set)) return { set, decision: false };
    switch (name) {
      case 'risk.portfolio_limit.restored':
        return { set, decision: false, step: { kind: 'limits_restored', set, place, now } };
      case 'risk.portfolio_limit.check':
        return this.#check(set, attributes, place, now);
      case 'risk.portfolio_health': {
        const input = attributes['risk.input'] as { readonly portfolio?: Portfolio } | undefined;
        // A service may record its own look at a portfolio.
        if (input?.portfolio === undefined || attributes['risk.limits.type'] === undefined) return this.#takeOver(set);
        this.#takenOver.delete(set);
        return { set, decision: true, step: { kind: 'health', set, portfolio: input.portfolio, place, now } };
      }
      case 'risk.portfolio_limit.rejection':
      case 'risk.portfolio_limit.warning':
      case 'risk.portfolio_heat_warning':
        return { set, decision: !this.#takenOver.has(set) };
      case 'risk.portfolio_limit.update': {
        const input = inputOf(attributes);
        const change = attributes['risk.limit.change'] as LimitsChange | undefined;
        this.#equity.set(set, attributes['trading.equity']);
        if (sparse && change?.type === 'breached' && !this.#isOfLast(set, attributes, place)) {
          this.takenOver++;
          const reason = String(attributes['risk.reason'] ?? '');
          return { set, decision: false, step: { kind: 'limits_recovered', set, reason, place, now } };
        }
        const decision = attributes['risk.limit.change'] !== undefined;
        return input === undefined
          ? { set, decision }
          : { set, decision, step: { kind: 'limits', set, input, place, now } };
      }
      case 'config.limits_changed':
        return {
          set,
          decision: attributes['risk.limit.change'] !== undefined,
          ...(attributes['risk.limit.change'] === undefined
            ? {}
            : {
                step: {
                  kind: 'limits_config',
                  ...{ set, place, now },
                  config: attributes['risk.config.new'] as PortfolioLimitsOptions,
                  actor: String(attributes['risk.actor'] ?? ''),
                  reason: String(attributes['risk.reason'] ?? ''),
                } satisfies Step,
              }),
        };
      case 'risk.daily_loss_limit':
        return { set, decision: attributes['risk.limit.change'] !== undefined };
      case 'risk.limit_hit': {
        if (attributes['risk.limit.change'] === undefined) return { set, decision: false };
        // Where inputs that change nothing are not recorded, an equity below the peak shows in what it brings about alone.
        const equity = attributes['trading.equity'];
        const isOfLast = this.#equity.get(set) === equity && this.#follows(set, place);
        if (!sparse || isOfLast || typeof equity !== 'number') return { set, decision: true };
        const step: Step = { kind: 'limits', set, input: { type: 'equity', equity }, place, now };
        return { set, decision: true, step };
      }
      default:
        return { set, decision: false };
    }
  }

  #check(set: string, attributes: Attributes, place: Place, now: number): LimitsReading {
    const input = attributes['risk.input'] as
      | { readonly portfolio?: Portfolio; readonly order?: LimitOrder }
      | undefined;
    const recorded = recordedCheck(attributes);
    if (input?.portfolio === undefined || input.order === undefined) {
      // One that a service records of its own has no time of the layer.
      if (attributes['risk.limit.at_ms'] === undefined) return { set, decision: false };
      const { decision } = this.#takeOver(set);
      return { set, decision, step: { kind: 'told_check', set, attributes, recorded, place, now } };
    }
    this.#takenOver.delete(set);
    const { portfolio, order } = input;
    return { set, decision: true, step: { kind: 'check', set, portfolio, order, recorded, place, now } };
  }

  #takeOver(set: string): LimitsReading {
    this.takenOver++;
    this.#takenOver.add(set);
    return { set, decision: false };
  }
}

function recordedCheck(attributes: Attributes): RecordedCheck {
  const decision = attributes['risk.decision'] as RecordedCheck['decision'];
  const quantity = Number(
    decision === 'deny' ? 0 : (attributes['risk.limit.capped_quantity'] ?? attributes['trading.quantity'] ?? 0),
  );
  const observed = attributes['risk.rule.mode'] === 'observe' ? ({ observed: true } as const) : {};
  return { decision, quantity, code: String(attributes['risk.reason.code'] ?? ''), ...observed };
}

/** The input behind an update; undefined where the update is what came of another one's input. */
function inputOf(attributes: Attributes): Exclude<LimitsInput, { type: 'configured' }> | undefined {
  const change = attributes['risk.limit.change'] as LimitsChange | undefined;
  if (change === undefined) return undefined;
  switch (change.type) {
    case 'pnl':
      return { type: 'pnl', pnl: change.pnl };
    case 'equity':
      return { type: 'equity', equity: change.equity };
    case 'fill':
      return { type: 'fill', fill: { ...orderOf(attributes), quantity: change.quantity, pnl: change.pnl } as never };
    case 'order_placed':
      return { type: 'order_placed', order: { ...orderOf(attributes), ...change.order } as LimitOrder };
    case 'order_done': {
      // With the order told, it is the order's old key that gives way to a new one.
      if (attributes['trading.side'] !== undefined) return undefined;
      return { type: 'order_done', orderId: String(attributes['trading.order.id'] ?? change.orderId) };
    }
    case 'message_sent':
      return { type: 'message_sent', count: change.count };
    case 'peak_reset':
      return {
        type: 'peak_reset',
        equity: change.equity ?? null,
        actor: String(attributes['risk.actor'] ?? ''),
        reason: String(attributes['risk.reason'] ?? ''),
      };
    case 'day_started':
      return { type: 'tick' };
    default:
      return undefined;
  }
}

const ORDER = [
  ['symbol', 'trading.symbol'],
  ['side', 'trading.side'],
  ['quantity', 'trading.quantity'],
  ['price', 'trading.price'],
  ['orderId', 'trading.order.id'],
  ['clientOrderId', 'trading.order.client_id'],
  ['type', 'trading.order.type'],
  ['role', 'trading.order.role'],
  ['reduceOnly', 'trading.order.reduce_only'],
  ['accountId', 'trading.account.id'],
  ['strategyId', 'trading.strategy.id'],
  ['venue', 'trading.venue'],
] as const;

function orderOf(attributes: Attributes): Record<string, unknown> {
  const order: Record<string, unknown> = {};
  for (const [name, attribute] of ORDER) if (attributes[attribute] !== undefined) order[name] = attributes[attribute];
  return order;
}
