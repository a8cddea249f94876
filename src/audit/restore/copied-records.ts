/** The audit records of a copy of a trail, such as a Collector's file, each as the line that a journal would hold. */
import { leafHashBase64 } from '../proof/tree.ts';
import { type LineSink, readBlocks, scanBlock } from '../read/files.ts';
import { auditForm } from '../record/canonical.ts';
import { type OtlpLogRecord, visitRecords } from '../record/otlp.ts';

/** A record that is what its integrity value says. */
export interface CopiedRecord {
  /** `<service>/<stream UUID>` */
  readonly stream: string;
  readonly sequence: number;
  /** `audit.integrity.value`, base64 of the leaf hash. */
  readonly claim: string;
  readonly record: OtlpLogRecord;
  /** Attributes of its resource as they stand in the payload. */
  readonly resource: unknown;
}

/** Attributes that a journal's reader looks for first. */
const PLACE: readonly string[] = ['audit.stream', 'audit.sequence.number'];

/**
 * Tells of every intact audit record of the files, in their order. What is torn, changed or no audit record is passed over:
 * telling of it is the verifier's work.
 * @throws RiskTrailError FILE_UNREADABLE
 */
export async function visitCopiedRecords(
  files: readonly string[],
  visit: (record: CopiedRecord) => void,
): Promise<void> {
  for (const file of files) {
    for await (const block of readBlocks(file)) scanBlock(block, new Sink(visit));
  }
}

class Sink implements LineSink {
  readonly #visit: (record: CopiedRecord) => void;

  constructor(visit: (record: CopiedRecord) => void) {
    this.#visit = visit;
  }

  line(text: string): boolean {
    let rounded = false;
    const found: CopiedRecord[] = [];
    const read = (exact: boolean) =>
      visitRecords(
        text,
        (record, resource) => {
          const form = auditForm(record);
          if (form === undefined) return;
          if (form.rounded) rounded = true;
          const { stream, sequence, claim, defect } = form;
          if (stream === undefined || sequence === undefined || claim === undefined || defect !== undefined) return;
          if (form.text === undefined || leafHashBase64(form.text) !== claim) return;
          found.push({ stream, sequence, claim, record, resource });
        },
        exact,
      );
    const isLine = read(false);
    if (rounded) {
      // An int past what a double holds was written as a number: its text decides, and has to stay.
      found.length = 0;
      read(true);
    }
    for (const record of found) this.#visit(record);
    return isLine;
  }

  torn(): void {}
}

type Pair = { readonly key?: unknown; readonly value?: unknown };

/** The line of a journal, newline included, that holds this record alone. What is hashed of it stays the same. */
export function journalLine({ record, resource, sequence, claim }: CopiedRecord): string {
  const { attributes, timeUnixNano, severityNumber, severityText, body, eventName, ...others } = record;
  const pairs = (Array.isArray(attributes) ? attributes : []) as readonly Pair[];
  const first = pairs.filter(({ key }) => PLACE.includes(key as string));
  const rest = pairs.filter(({ key }) => !PLACE.includes(key as string) && key !== 'audit.integrity.value');
  const text = JSON.stringify({
    timeUnixNano: String(timeUnixNano ?? '0'),
    ...(severityNumber === undefined ? {} : { severityNumber }),
    ...(severityText === undefined ? {} : { severityText }),
    ...(body === undefined ? {} : { body }),
    ...(eventName === undefined ? {} : { eventName }),
    attributes: [
      ...first.map(({ key, value }) =>
        key === 'audit.sequence.number' ? { key, value: { intValue: sequence } } : { key, value },
      ),
      ...rest.map(({ key, value }) => ({ key, value })),
      { key: 'audit.integrity.value', value: { stringValue: claim } },
    ],
    ...others,
  });
  const of = JSON.stringify({ attributes: resource ?? [] });
  return `{"resourceLogs":[{"resource":${of},"scopeLogs":[{"scope":{"name":"risktrail"},"logRecords":[${text}]}]}]}\n`;
}
