/**
 * The kill switch of a trail: by hand, by a request of `risktrail kill`, and by the gate's own HALTED. Trading is halted before
 * the venue is asked for anything; what is done at the venue is done once at a time for each exchange.
 */
import { catalogEvent } from '../../catalog/events.ts';
import type { Clock } from '../../core/clock.ts';
import type { Subscription } from '../../core/listeners.ts';
import { boolean, type CheckMap, integer, list, object, positive, readOptions, string } from '../../core/options.ts';
import { createUuidV7 } from '../../core/uuid.ts';
import { failureInfo } from '../failure-info.ts';
import { MANUAL_SOURCE, type TradingGate } from '../trading-gate.ts';
import { DeadMansSwitch } from './dead-mans-switch.ts';
import {
  type KillRequest,
  listKillRequests,
  readKillAnswers,
  readKillRequest,
  removeKillRequest,
  writeKillAnswer,
  writeKillRequest,
} from './kill-requests.ts';
import type { KillArming, KillExchange, KillReport, KillTerms, VenueKillOptions } from './kill-types.ts';
import { type KillCause, type KillHost, type KillSetting, VenueKill } from './venue-kill.ts';

export interface KillParts extends KillHost {
  readonly gate: TradingGate;
  /** Of the machine, by which other processes date their requests. */
  readonly machine: Clock;
  readonly service: string;
  readonly stream: string;
  /** Where requests are looked for; undefined where nothing is written. */
  readonly dataDir: string | undefined;
  report(error: unknown, where: string): void;
}

/** How often requests are looked for. */
export const POLL_MS = 500;
/** A service that was started again makes its exchanges within this time. */
const ARMING_MS = 10_000;
/** Requests older than the process count only so long, unless one before it began with them. */
const FRESH_MS = 60_000;
/** Nobody waits for their answers any more. */
const OLD_MS = 24 * 3_600_000;

const DEFAULTS = { flatten: false, timeoutMs: 10_000, attempts: 5, backoffMs: 250 } as const;

const ARMING: CheckMap<KillArming> = {
  exchange: object<KillExchange>('an exchange object'),
  flatten: boolean(),
  symbols: list(string()),
  timeoutMs: positive(),
  attempts: integer(1, 100),
  backoffMs: positive(),
  onHalted: boolean(),
  deadMansSwitchMs: integer(1000),
};

interface Armed {
  readonly options: KillArming;
  readonly deadMansSwitch: DeadMansSwitch | undefined;
}

const isText = (value: unknown): value is string => typeof value === 'string' && value.trim() !== '';
const venueOf = ({ id }: KillExchange): string | undefined => (isText(id) ? id : undefined);

export class KillSwitches {
  readonly #parts: KillParts;
  readonly #armed = new Set<Armed>();
  /** Exchanges that placed orders, as instrumentations saw them: objects that the program let go of are let go of here. */
  readonly #known = new Map<number, WeakRef<KillExchange>>();
  readonly #seen = new WeakSet<object>();
  #nextKnown = 0;
  /** Work at each exchange, one after the other. */
  readonly #work = new WeakMap<KillExchange, Promise<unknown>>();
  readonly #busy = new Map<KillExchange, number>();
  /** Requests that need no further look. */
  readonly #done = new Set<string>();
  readonly #startedMs: number;
  readonly #newId = createUuidV7();
  readonly #subscription: Subscription;

  constructor(parts: KillParts) {
    this.#parts = parts;
    this.#startedMs = parts.machine.now();
    this.#subscription = parts.gate.onChange((change) => {
      if (change.new !== 'HALTED' || change.scope !== 'global') return;
      const { actor, reason, recordId } = change;
      this.#onHalted({ actor, reason, scope: 'global', recordId, event: 'risk.trading_state_change' });
    });
  }

  /** @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN */
  arm(given: KillArming): Subscription {
    const keys = Object.keys(ARMING) as (keyof KillArming)[];
    const options = readOptions<KillArming>('armKillSwitch', given, ARMING, {}, keys);
    const { exchange, deadMansSwitchMs } = options;
    const timeoutMs = deadMansSwitchMs;
    const deadMansSwitch = timeoutMs === undefined ? undefined : new DeadMansSwitch(this.#parts, exchange, timeoutMs);
    const armed: Armed = { options, deadMansSwitch };
    this.#armed.add(armed);
    deadMansSwitch?.start();
    // A process that goes on where one was killed in the midst of it.
    if (options.onHalted === true && this.#parts.gate.state() === 'HALTED') {
      const demand = this.#parts.gate.snapshot().demands.find((one) => one.state === 'HALTED');
      const { actor = 'unnamed', reason = 'trading is halted' } = demand ?? {};
      this.#act(armed, { actor, reason, scope: 'global', recordId: undefined, event: 'risk.trading_state_change' });
    }
    return {
      dispose: () => {
        this.#armed.delete(armed);
        void armed.deadMansSwitch?.disarm();
      },
    };
  }

  /** Never rejects. */
  async kill(given: VenueKillOptions): Promise<KillReport> {
    let venue: string | undefined;
    try {
      const options = { ...(given as Partial<VenueKillOptions>) };
      const { exchange } = options;
      const isExchange = (typeof exchange === 'object' || typeof exchange === 'function') && exchange !== null;
      const cause = {
        actor: isText(options.actor) ? options.actor : 'unnamed',
        reason: isText(options.reason) ? options.reason : 'none given',
        scope: isText(options.scope) ? options.scope : 'global',
      };
      const halt = (): KillCause => this.#halt(cause);
      if (!isExchange) {
        halt();
        return nothingDone(
          undefined,
          'exchange',
          'no exchange object was given: trading is halted, no order was cancelled',
        );
      }
      venue = venueOf(exchange);
      return await this.#run(exchange, options, halt, true);
    } catch (error) {
      this.#parts.report(error, 'kill switch');
      return nothingDone(venue, 'killSwitch', failureInfo(error)?.message ?? String(error));
    }
  }

  /** Looks for requests. */
  poll(): void {
    const { dataDir } = this.#parts;
    if (dataDir === undefined) return;
    for (const id of listKillRequests(dataDir)) {
      if (this.#done.has(id)) continue;
      try {
        const request = readKillRequest(dataDir, id);
        if (request !== undefined) this.#take(dataDir, request);
      } catch (error) {
        this.#done.add(id);
        this.#refuse(error);
      }
    }
  }

  /** Adds an exchange to those that a request reaches. Cheap where it is known. */
  know(exchange: object): void {
    if (this.#seen.has(exchange)) return;
    this.#seen.add(exchange);
    for (const [key, known] of this.#known) if (known.deref() === undefined) this.#known.delete(key);
    this.#known.set(this.#nextKnown++, new WeakRef(exchange as KillExchange));
  }

  /** Exchanges that a request reaches: those that were armed, as they were, and the others that are known. */
  #reached(): readonly (KillTerms & { readonly exchange: KillExchange })[] {
    const armed: (KillTerms & { readonly exchange: KillExchange })[] = [...this.#armed].map(({ options }) => options);
    const is = new Set(armed.map(({ exchange }) => exchange));
    for (const known of this.#known.values()) {
      const exchange = known.deref();
      if (exchange !== undefined && !is.has(exchange)) armed.push({ exchange });
    }
    return armed;
  }

  /** Whether an exchange stands ready. */
  get isArmed(): boolean {
    return this.#armed.size > 0;
  }

  /** Orderly end: dead-man's switches are disarmed. Never rejects. */
  async stop(): Promise<void> {
    this.#subscription.dispose();
    await Promise.all([...this.#armed].map(({ deadMansSwitch }) => deadMansSwitch?.disarm()));
    this.#armed.clear();
  }

  /** The process ends now: what the venue was armed with stays so. */
  abandon(): void {
    this.#subscription.dispose();
    for (const { deadMansSwitch } of this.#armed) deadMansSwitch?.abandon();
  }

  #refuse(error: unknown): void {
    this.#parts.report(error, 'kill request');
    this.#parts.emit(
      catalogEvent('risk.trading_state_invalid_input', {
        'risk.reason.code': 'KILL_REQUEST_REFUSED',
        'risk.reason': failureInfo(error)?.message ?? 'a request of the kill switch was refused',
      }),
    );
  }

  #take(dataDir: string, request: KillRequest): void {
    const armed = [...this.#armed].filter(({ options }) => venueOf(options.exchange) === request.venue);
    const what = this.#judge(dataDir, request, armed.length > 0);
    if (what === 'wait') return;
    this.#done.add(request.id);
    if (what === 'remove') removeKillRequest(dataDir, request.id);
    else if (what === 'resume') void this.#resume(dataDir, request, armed);
    else if (what === 'answer') void this.#answer(dataDir, request);
  }

  #judge(dataDir: string, request: KillRequest, knowsVenue: boolean): 'skip' | 'wait' | 'remove' | 'resume' | 'answer' {
    const { service, gate, machine } = this.#parts;
    if (request.service !== undefined && request.service !== service) return 'skip';
    const isOlder = request.createdMs < this.#startedMs;
    const halted = gate.state() === 'HALTED';
    if (request.stream !== undefined) {
      // Another process does it, or did it until it was killed. Whoever resumed trading since has the last word.
      if (!isOlder) return 'skip';
      if (!halted) return 'remove';
      return knowsVenue ? 'resume' : 'wait';
    }
    const ageMs = machine.now() - request.createdMs;
    if (ageMs > OLD_MS) return 'remove';
    if (!isOlder) return 'answer';
    const answers = readKillAnswers(dataDir, request.id);
    if (answers.some(({ state }) => state === 'done')) return 'skip';
    if (ageMs >= FRESH_MS && !(answers.length > 0 && halted)) return 'skip';
    return this.#reached().length === 0 && machine.now() - this.#startedMs < ARMING_MS ? 'wait' : 'answer';
  }

  async #resume(dataDir: string, request: KillRequest, armed: readonly Armed[]): Promise<void> {
    const { actor, reason, flatten } = request;
    await Promise.all(armed.map((one) => this.#killArmed(one, { actor, reason, flatten })));
    removeKillRequest(dataDir, request.id);
  }

  async #answer(dataDir: string, { id, actor, reason, flatten }: KillRequest): Promise<void> {
    const { stream, report } = this.#parts;
    try {
      // Halted before anything else is done, and told of once.
      const cause = this.#halt({ actor, reason, scope: 'global' });
      const reached = this.#reached();
      const venues = reached.map(({ exchange }) => venueOf(exchange) ?? 'an exchange without a name');
      writeKillAnswer(dataDir, id, { stream, state: 'accepted', venues, reports: [] });
      const reports = await Promise.all(
        reached.map((one) => this.#run(one.exchange, { ...one, flatten }, () => cause, false)),
      );
      writeKillAnswer(dataDir, id, { stream, state: 'done', venues, reports });
    } catch (error) {
      report(error, 'kill request');
    }
  }

  #killArmed({ options }: Armed, { actor, reason, flatten }: Pick<KillRequest, 'actor' | 'reason' | 'flatten'>) {
    return this.kill({ ...options, actor, reason, flatten });
  }

  #onHalted(cause: KillCause): void {
    for (const armed of this.#armed) {
      if (armed.options.onHalted === true && !this.#busy.has(armed.options.exchange)) this.#act(armed, cause);
    }
  }

  #act({ options }: Armed, cause: KillCause): void {
    const run = () => this.#run(options.exchange, options, () => cause, false);
    void run().catch((error: unknown) => this.#parts.report(error, 'kill switch'));
  }

  /** @param begin halts, where that isn't done yet; called at once */
  #run(exchange: KillExchange, given: KillTerms, begin: () => KillCause, isOwn: boolean): Promise<KillReport> {
    this.#busy.set(exchange, (this.#busy.get(exchange) ?? 0) + 1);
    const cause = begin();
    const terms = usable(given);
    const left = isOwn ? this.#leave(exchange, cause, terms) : undefined;
    const before = this.#work.get(exchange) ?? Promise.resolve();
    const work = before
      .catch(() => {})
      .then(() => new VenueKill(this.#parts, exchange, cause, terms).run())
      .finally(() => {
        const count = (this.#busy.get(exchange) ?? 1) - 1;
        if (count === 0) this.#busy.delete(exchange);
        else this.#busy.set(exchange, count);
        if (left !== undefined) this.#drop(left);
      });
    this.#work.set(exchange, work);
    return work;
  }

  /** A request to the process that goes on, should this one be killed in the midst of it. */
  #leave(exchange: KillExchange, { actor, reason }: KillCause, { flatten }: KillSetting): string | undefined {
    const { dataDir, service, stream, machine, report } = this.#parts;
    if (dataDir === undefined) return undefined;
    const createdMs = machine.now();
    const id = this.#newId(createdMs);
    this.#done.add(id);
    const venue = venueOf(exchange);
    try {
      const request = { id, createdMs, actor, reason, flatten, service, stream };
      writeKillRequest(dataDir, venue === undefined ? request : { ...request, venue });
      return id;
    } catch (error) {
      report(error, 'kill switch');
      return undefined;
    }
  }

  #drop(id: string): void {
    try {
      removeKillRequest(this.#parts.dataDir!, id);
    } catch (error) {
      this.#parts.report(error, 'kill switch');
    }
  }

  #halt({ actor, reason, scope }: Pick<KillCause, 'actor' | 'reason' | 'scope'>): KillCause {
    const { emit, gate } = this.#parts;
    const attributes = { 'risk.actor': actor, 'risk.reason': reason, 'risk.scope': scope, 'risk.action': 'halt' };
    const recordId = emit(catalogEvent('risk.kill_switch', attributes));
    gate.demand({
      ...{ source: MANUAL_SOURCE, state: 'HALTED', actor, reason, scope, causeEvent: 'risk.kill_switch' },
      ...(recordId === undefined ? {} : { causeRecordId: recordId }),
    });
    return { actor, reason, scope, recordId, event: 'risk.kill_switch' };
  }
}

/** In an emergency nobody should learn that a number was wrong: the default is taken for it. */
function usable({ flatten, symbols, timeoutMs, attempts, backoffMs }: KillTerms): KillSetting {
  const number = (value: unknown, otherwise: number) =>
    typeof value === 'number' && value > 0 && Number.isFinite(value) ? value : otherwise;
  return {
    flatten: flatten === true,
    timeoutMs: number(timeoutMs, DEFAULTS.timeoutMs),
    attempts: Math.min(100, Math.ceil(number(attempts, DEFAULTS.attempts))),
    backoffMs: number(backoffMs, DEFAULTS.backoffMs),
    ...(Array.isArray(symbols) ? { symbols: symbols.filter(isText) } : {}),
  };
}

function nothingDone(venue: string | undefined, operation: string, message: string): KillReport {
  return {
    ...(venue === undefined ? {} : { venue }),
    ...{ complete: false, orders: [], positions: [], left: { orders: [], positions: {} } },
    failures: [{ operation, message }],
  };
}
