/** An event as it stands in a trail: what the folds read. */

export interface RecordedEvent {
  readonly name: string;
  /** `audit.record.id`; '' where it is not known. */
  readonly recordId: string;
  /** Epoch milliseconds. */
  readonly timeMs: number;
  readonly attributes: Readonly<Record<string, unknown>>;
}
