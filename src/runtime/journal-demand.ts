/** What cannot be recorded must not be traded, where the service says so: until the journal can be written again. */
import type { Settings } from './settings.ts';
import type { TradingGate, TradingState } from './trading-gate.ts';

/** Source of the gate's demand while the journal cannot be written. */
const JOURNAL_SOURCE = 'audit_journal';

/** Setting `auditFailure` → what is demanded of the gate while the journal cannot be written. */
const FAILURE_POLICY = { continue: undefined, 'reduce-only': 'REDUCING', halt: 'HALTED' } as const;

export class JournalDemand {
  readonly #gate: TradingGate;
  readonly #isFailing: () => boolean;
  readonly #policy: 'REDUCING' | 'HALTED' | undefined;
  #failed = false;

  constructor(gate: TradingGate, auditFailure: Settings['auditFailure'], isFailing: () => boolean) {
    this.#gate = gate;
    this.#isFailing = isFailing;
    this.#policy = FAILURE_POLICY[auditFailure];
  }

  /** Looks whether the journal began or ceased to fail. */
  follow(): void {
    if (this.#policy === undefined) return;
    const failing = this.#isFailing();
    if (failing === this.#failed) return;
    this.#failed = failing;
    this.#demand(failing, failing ? this.#policy : 'ACTIVE');
  }

  /** Takes back what an earlier process left: it was about the journal of that one. */
  takeBack(demands: readonly { readonly source: string }[]): void {
    if (demands.some((one) => one.source === JOURNAL_SOURCE)) this.#demand(false, 'ACTIVE');
  }

  #demand(failing: boolean, state: TradingState): void {
    this.#gate.demand({
      source: JOURNAL_SOURCE,
      state,
      actor: JOURNAL_SOURCE,
      reason: failing ? 'the audit journal cannot be written' : 'the audit journal can be written again',
      reasonCode: failing ? 'AUDIT_JOURNAL_FAILED' : 'AUDIT_JOURNAL_RECOVERED',
    });
  }
}
