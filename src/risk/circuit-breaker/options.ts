/** The circuit breaker's options, checked. */
import { describeValue, RiskTrailError } from '../../core/errors.ts';
import {
  boolean,
  type Check,
  func,
  integer,
  nested,
  number,
  oneOf,
  positive,
  readOptions,
  string,
} from '../../core/options.ts';
import { withoutNulls } from '../../core/without-nulls.ts';
import { isTimeZone } from './schedule.ts';

/** Opens when so many trades closed by their stop fall into `windowMs`. */
export interface StopLossCountOptions {
  readonly count: number;
  readonly windowMs: number;
}

/** Opens when the equity has fallen by `maxRatio` (0…1) of its peak. */
export interface DrawdownOptions {
  readonly maxRatio: number;
}

/** Opens when the realised loss of one day reaches `max`, in the account currency. */
export interface DailyLossOptions {
  readonly max: number;
  /** IANA zone in which the day is counted. @default 'UTC' */
  readonly timeZone?: string | undefined;
  /** `HH:MM` at which a day begins. @default '00:00' */
  readonly resetAt?: string | undefined;
}

/** Opens after so many losing trades in a row. */
export interface LosingStreakOptions {
  readonly count: number;
}

export interface TimeOfDay {
  /** `HH:MM`, 24 hours. */
  readonly time: string;
  /** IANA zone, such as America/New_York. */
  readonly timeZone: string;
}

export interface HalfOpenOptions {
  /** Probes in flight at a time. @default 1 */
  readonly maxProbes?: number | undefined;
  /** Successful probes that close it; one failure opens it again. @default 1 */
  readonly successesToClose?: number | undefined;
  /** How long a probe may take before it counts as failed. @default 30_000 */
  readonly probeTimeoutMs?: number | undefined;
}

/**
 * Settings of one circuit breaker. Thresholds are reached at equality. With no trigger at all, `failureThreshold` is 5.
 * A failure leaves a time window `windowMs` after it came; rates over a time window are kept in steps of 1/60 of it.
 */
export interface CircuitBreakerOptions {
  /** Length of a time window; the default unless `windowCalls` is given. @default 60_000 */
  readonly windowMs?: number | undefined;
  /** Instead of a time window: the last so many calls. */
  readonly windowCalls?: number | undefined;
  /** Calls that the window must hold before rates count. @default 10, or `windowCalls` where that is less */
  readonly minimumCalls?: number | undefined;
  /** Opens at so many failures in the window. */
  readonly failureThreshold?: number | undefined;
  /** Opens at this share of failed calls, above 0 up to 1. */
  readonly failureRate?: number | undefined;
  /** Opens at so many failures in a row. */
  readonly consecutiveFailures?: number | undefined;
  /** A call that takes at least so long is slow, whether it fails or not. */
  readonly slowCallMs?: number | undefined;
  /** Opens at this share of slow calls, above 0 up to 1; needs `slowCallMs`. A slow probe then fails. */
  readonly slowCallRate?: number | undefined;
  /** How long it stays open before it lets probes through (after trading triggers: before it closes). @default 30_000 */
  readonly cooldownMs?: number | undefined;
  readonly halfOpen?: HalfOpenOptions | undefined;
  /** Stays open until a named person resets it. @default false */
  readonly latched?: boolean | undefined;
  /**
   * What its demand on the trading gate holds for: `global`, `venue:binance`, `account:ACC1` … `account` is that of the setting
   * `accountId`, and shares the breaker's opening with the other processes of the data directory.
   * @default 'global'
   */
  readonly scope?: string | undefined;
  /**
   * What it demands of the trading gate while OPEN or FORCED_OPEN. HALF_OPEN demands nothing: the breaker itself lets no more
   * than its probes through. @default 'HALTED'
   */
  readonly onOpen?: 'HALTED' | 'REDUCING' | 'none' | undefined;
  readonly stopLossCount?: StopLossCountOptions | undefined;
  readonly drawdown?: DrawdownOptions | undefined;
  readonly dailyLoss?: DailyLossOptions | undefined;
  readonly losingStreak?: LosingStreakOptions | undefined;
  /** After trading triggers: open until this time of day instead of for `cooldownMs`. */
  readonly unlockAt?: TimeOfDay | undefined;
  /** Whether an error that a guarded function threw counts as a failure; one that does not counts as a success. @default all do */
  readonly isFailure?: ((error: unknown) => boolean) | undefined;
}

/** The settings in force, JSON-serialisable: null is "not set". */
export interface BreakerConfig {
  readonly windowMs: number | null;
  readonly windowCalls: number | null;
  readonly minimumCalls: number;
  readonly failureThreshold: number | null;
  readonly failureRate: number | null;
  readonly consecutiveFailures: number | null;
  readonly slowCallMs: number | null;
  readonly slowCallRate: number | null;
  readonly cooldownMs: number;
  readonly maxProbes: number;
  readonly successesToClose: number;
  readonly probeTimeoutMs: number;
  readonly latched: boolean;
  readonly scope: string;
  readonly onOpen: 'HALTED' | 'REDUCING' | 'none';
  readonly stopLossCount: StopLossCountOptions | null;
  readonly drawdown: DrawdownOptions | null;
  readonly dailyLoss: { readonly max: number; readonly timeZone: string; readonly resetAt: string } | null;
  readonly losingStreak: LosingStreakOptions | null;
  readonly unlockAt: TimeOfDay | null;
}

export interface ReadBreakerOptions {
  readonly config: BreakerConfig;
  readonly isFailure: (error: unknown) => boolean;
}

/** The options that give these settings, but for `isFailure`. */
export function optionsOf(config: BreakerConfig): CircuitBreakerOptions {
  const { maxProbes, successesToClose, probeTimeoutMs, ...rest } = config;
  return { ...withoutNulls(rest), halfOpen: { maxProbes, successesToClose, probeTimeoutMs } };
}

const share = (): Check<number> => number({ above: 0, max: 1 });
// What is stored and recorded is whole milliseconds, so that a rebuilt state equals the live one.
const duration = (): Check<number> => integer(1, 10 * 366 * 86_400_000);
const time = (): Check<string> => ({
  expected: 'a time of day as HH:MM',
  accepts: (value): value is string => typeof value === 'string' && /^([01]\d|2[0-3]):[0-5]\d$/.test(value),
});
const zone = (): Check<string> => ({
  expected: 'an IANA time zone such as America/New_York',
  accepts: isTimeZone,
});

const CHECKS: { readonly [K in keyof Required<CircuitBreakerOptions>]: Check<NonNullable<CircuitBreakerOptions[K]>> } =
  {
    windowMs: duration(),
    windowCalls: integer(1, 10_000),
    minimumCalls: integer(1),
    failureThreshold: integer(1, 10_000),
    failureRate: share(),
    consecutiveFailures: integer(1),
    slowCallMs: positive(),
    slowCallRate: share(),
    cooldownMs: duration(),
    halfOpen: nested<HalfOpenOptions>(
      { maxProbes: integer(1, 1000), successesToClose: integer(1), probeTimeoutMs: duration() },
      { maxProbes: 1, successesToClose: 1, probeTimeoutMs: 30_000 },
    ),
    latched: boolean(),
    scope: string(),
    onOpen: oneOf(['HALTED', 'REDUCING', 'none']),
    stopLossCount: nested<StopLossCountOptions>({ count: integer(1, 10_000), windowMs: duration() }),
    drawdown: nested<DrawdownOptions>({ maxRatio: share() }),
    dailyLoss: nested<DailyLossOptions>(
      { max: positive(), timeZone: zone(), resetAt: time() },
      { timeZone: 'UTC', resetAt: '00:00' },
    ),
    losingStreak: nested<LosingStreakOptions>({ count: integer(1) }),
    unlockAt: nested<TimeOfDay>({ time: time(), timeZone: zone() }),
    isFailure: func<(error: unknown) => boolean>(),
  };

const OPTIONAL = Object.keys(CHECKS) as (keyof CircuitBreakerOptions)[];

/**
 * @param owner path in front of a field's name: `circuitBreaker("broker")`
 * @throws RiskTrailError OPTION_INVALID, OPTION_UNKNOWN
 */
export function readBreakerOptions(owner: string, input: unknown): ReadBreakerOptions {
  const given = readOptions<CircuitBreakerOptions>(owner, input, CHECKS, {}, OPTIONAL);
  const refuse = (field: string, expected: string, received: unknown): never => {
    throw new RiskTrailError('OPTION_INVALID', {
      field: `${owner}.${field}`,
      expected,
      received: describeValue(received),
    });
  };
  const { windowCalls, windowMs, minimumCalls } = given;
  if (windowCalls !== undefined && windowMs !== undefined)
    refuse('windowCalls', 'windowMs or windowCalls, not both', windowCalls);
  if (given.slowCallRate !== undefined && given.slowCallMs === undefined)
    refuse('slowCallMs', 'a number of milliseconds, as slowCallRate is set', undefined);
  if (windowCalls !== undefined && minimumCalls !== undefined && minimumCalls > windowCalls)
    refuse('minimumCalls', `at most windowCalls (${windowCalls})`, minimumCalls);
  if (windowCalls !== undefined && given.failureThreshold !== undefined && given.failureThreshold > windowCalls)
    refuse('failureThreshold', `at most windowCalls (${windowCalls})`, given.failureThreshold);

  const hasTrigger =
    given.failureThreshold !== undefined ||
    given.failureRate !== undefined ||
    given.consecutiveFailures !== undefined ||
    given.slowCallRate !== undefined ||
    given.stopLossCount !== undefined ||
    given.drawdown !== undefined ||
    given.dailyLoss !== undefined ||
    given.losingStreak !== undefined;
  const dailyLoss = given.dailyLoss;
  const config: BreakerConfig = {
    windowMs: windowMs ?? (windowCalls === undefined ? 60_000 : null),
    windowCalls: windowCalls ?? null,
    minimumCalls: minimumCalls ?? Math.min(10, windowCalls ?? 10),
    failureThreshold: given.failureThreshold ?? (hasTrigger ? null : Math.min(5, windowCalls ?? 5)),
    failureRate: given.failureRate ?? null,
    consecutiveFailures: given.consecutiveFailures ?? null,
    slowCallMs: given.slowCallMs ?? null,
    slowCallRate: given.slowCallRate ?? null,
    cooldownMs: given.cooldownMs ?? 30_000,
    maxProbes: given.halfOpen?.maxProbes ?? 1,
    successesToClose: given.halfOpen?.successesToClose ?? 1,
    probeTimeoutMs: given.halfOpen?.probeTimeoutMs ?? 30_000,
    latched: given.latched ?? false,
    scope: given.scope ?? 'global',
    onOpen: given.onOpen ?? 'HALTED',
    stopLossCount: given.stopLossCount ?? null,
    drawdown: given.drawdown ?? null,
    dailyLoss:
      dailyLoss === undefined
        ? null
        : { max: dailyLoss.max, timeZone: dailyLoss.timeZone ?? 'UTC', resetAt: dailyLoss.resetAt ?? '00:00' },
    losingStreak: given.losingStreak ?? null,
    unlockAt: given.unlockAt ?? null,
  };
  return { config: Object.freeze(config), isFailure: given.isFailure ?? (() => true) };
}
