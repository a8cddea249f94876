/**
 * Hand-over statements (docs/audit-format.md section 5): by one, the holder of a signing key says which key follows. A
 * statement is a signed note that both keys signed, so whoever trusts the old key may trust the new one, and nobody can hand
 * over to a key that isn't his.
 *
 *     risktrail/key-handover@v1
 *     old <vkey>
 *     new <vkey>
 *     time <ISO 8601>
 *
 *     — <service> <signature by the old key>
 *     — <service> <signature by the new key>
 *
 * It binds as much as the old key does: of an old key that somebody else holds, no statement is to be believed.
 */
import { RiskTrailError } from '../../core/errors.ts';
import { openNote, parseVerifierKey, type Signer, type VerifierKey } from './note.ts';

const HEADER = 'risktrail/key-handover@v1';
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/;

/** What a statement says. */
export interface Handover {
  readonly oldKey: VerifierKey;
  readonly newKey: VerifierKey;
  /** When it was made, ISO 8601, as its maker says. */
  readonly time: string;
}

/**
 * The text of a statement.
 * @param oldSigner the key that hands over
 * @param newSigner the key that follows; of the same name
 * @param time ISO 8601, in UTC
 * @throws RiskTrailError HANDOVER_IMPOSSIBLE where it is the same key, or one of another name
 */
export function makeHandover(oldSigner: Signer, newSigner: Signer, time: string): string {
  if (oldSigner.vkey === newSigner.vkey)
    throw new RiskTrailError('HANDOVER_IMPOSSIBLE', { reason: 'both are the same' });
  if (oldSigner.name !== newSigner.name) {
    const reason = `they are of two names, ${oldSigner.name} and ${newSigner.name}`;
    throw new RiskTrailError('HANDOVER_IMPOSSIBLE', { reason });
  }
  const text = `${HEADER}\nold ${oldSigner.vkey}\nnew ${newSigner.vkey}\ntime ${time}\n`;
  const both = oldSigner.sign(text) + lastLine(newSigner.sign(text));
  if (parseHandover(both) === undefined)
    throw new RiskTrailError('HANDOVER_IMPOSSIBLE', { reason: `its time is ${time}` });
  return both;
}

function lastLine(note: string): string {
  return note.slice(note.lastIndexOf('\n', note.length - 2) + 1);
}

/** Reads a statement that both of its keys signed; undefined where it is none. Whether to trust the old key is another matter. */
export function parseHandover(statement: string): Handover | undefined {
  const [header, oldLine, newLine, timeLine, end] = statement.split('\n', 5);
  const keyOf = (line: string | undefined, name: string) =>
    line?.startsWith(`${name} `) ? parseVerifierKey(line.slice(name.length + 1)) : undefined;
  const oldKey = keyOf(oldLine, 'old');
  const newKey = keyOf(newLine, 'new');
  const time = timeLine?.startsWith('time ') ? timeLine.slice('time '.length) : '';
  if (header !== HEADER || end !== '' || oldKey === undefined || newKey === undefined || !TIME.test(time))
    return undefined;
  if (oldKey.name !== newKey.name || oldKey.vkey === newKey.vkey) return undefined;
  const signed = [oldKey, newKey].every((key) => {
    const opened = openNote(statement, [key]);
    return 'text' in opened && opened.text === `${HEADER}\n${oldLine}\n${newLine}\n${timeLine}\n`;
  });
  return signed ? { oldKey, newKey, time } : undefined;
}

/**
 * The keys that follow from those trusted: these, and each that one of them hands over to, directly or through others. What is
 * no statement is passed over.
 * @param statements texts of hand-over statements, in any order
 */
export function trustHandovers(trusted: readonly VerifierKey[], statements: readonly string[]): VerifierKey[] {
  const handovers = statements.map(parseHandover).filter((one) => one !== undefined);
  const keys = new Map(trusted.map((key) => [key.vkey, key]));
  for (let before = -1; before < keys.size; ) {
    before = keys.size;
    for (const { oldKey, newKey } of handovers) {
      if (keys.has(oldKey.vkey) && !keys.has(newKey.vkey)) keys.set(newKey.vkey, newKey);
    }
  }
  return [...keys.values()];
}
