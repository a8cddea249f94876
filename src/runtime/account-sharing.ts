/** Makes layers with `scope: 'account'`: their scope is the account's, and what they come to is shared with other processes. */
import type { Journal } from '../audit/journal/journal.ts';
import { RiskTrailError } from '../core/errors.ts';
import { AccountScope } from './account-scope.ts';
import type { CircuitBreaker, CircuitBreakerOptions } from './circuit-breaker.ts';
import type { LayerHost } from './layer-host.ts';
import type { PortfolioLimits, PortfolioLimitsOptions } from './portfolio-limits.ts';
import type { Settings } from './settings.ts';

export interface AccountSharingOptions {
  readonly settings: Settings;
  /** Absent when disabled: then nothing is shared. */
  readonly journal: Journal | undefined;
  readonly host: LayerHost;
  /** Stream from which the layers were restored. */
  readonly restoredFrom: string | undefined;
}

/** Value of the option `scope` that shares a layer. */
const SHARED = 'account';

export class AccountSharing {
  readonly #options: AccountSharingOptions;
  #scope: AccountScope | undefined;

  constructor(options: AccountSharingOptions) {
    this.#options = options;
  }

  /** @throws RiskTrailError OPTION_INVALID where the service names no account; and what `make` throws */
  breaker(
    name: string,
    options: CircuitBreakerOptions | undefined,
    make: (host: LayerHost, options: CircuitBreakerOptions | undefined) => CircuitBreaker,
  ): CircuitBreaker {
    if (options?.scope !== SHARED) return make(this.#options.host, options);
    const scope = this.#accountScope(`circuitBreaker("${name}").scope`);
    const shared = this.#share();
    const breaker = make(shared?.host() ?? this.#options.host, { ...options, scope });
    shared?.addBreaker(breaker);
    return breaker;
  }

  /** @throws RiskTrailError OPTION_INVALID where the service names no account; and what `make` throws */
  limits(
    set: string,
    options: PortfolioLimitsOptions,
    make: (host: LayerHost, options: PortfolioLimitsOptions) => PortfolioLimits,
  ): PortfolioLimits {
    if (options?.scope !== SHARED) return make(this.#options.host, options);
    const scope = this.#accountScope('portfolioLimits.scope');
    const shared = this.#share();
    const limits = make(shared?.host() ?? this.#options.host, { ...options, scope });
    return shared?.addLimits(set, limits) ?? limits;
  }

  /** An event was recorded. */
  recorded(name: string, recordId: string, attributes: object): void {
    this.#scope?.recorded(name, recordId, attributes as Readonly<Record<string, unknown>>);
  }

  /** Net positions of the account by the fills that its processes were told of; undefined where no limits are shared. */
  positions(): ReadonlyMap<string, number> | undefined {
    return this.#scope?.positions();
  }

  /** Ids of the orders that other processes of the account have on their way. */
  othersOrders(): ReadonlySet<string> | undefined {
    return this.#scope?.othersOrders();
  }

  /** Records what this process adds: with each round of snapshots. */
  publish(): void {
    this.#scope?.publish();
  }

  /** Ends the following. */
  stop(): void {
    this.#scope?.stop();
  }

  #accountScope(field: string): string {
    const { accountId } = this.#options.settings;
    if (accountId !== undefined) return `account:${accountId}`;
    const expected = 'the setting accountId, as the account is what is shared';
    throw new RiskTrailError('OPTION_INVALID', { field, expected, received: 'no accountId' });
  }

  #share(): AccountScope | undefined {
    const { settings, journal, host, restoredFrom } = this.#options;
    if (journal === undefined || settings.accountId === undefined) return undefined;
    const { dataDir, accountId } = settings;
    this.#scope ??= new AccountScope({ host, dataDir, accountId, stream: journal.stream, restoredFrom });
    return this.#scope;
  }
}
