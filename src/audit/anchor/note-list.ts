/**
 * Many signed notes in one text: one after the other with an empty line between them, which no diff or merge of version
 * control trips over. A note has an empty line of its own, in front of its signatures, so what makes a note is a paragraph that
 * is followed by one of signature lines only.
 */
import { decodeBase64 } from '../proof/note.ts';

/** First characters of a signature line. */
const SIGNATURE = '\u2014 ';
/** Key hash and Ed25519 signature: no algorithm has shorter ones. */
const LEAST_SIGNATURE_BYTES = 68;

/** What stands behind each note in a list. */
export const NOTE_SEPARATOR = '\n';

function isSignature(line: string): boolean {
  if (!line.startsWith(SIGNATURE)) return false;
  const bytes = decodeBase64(line.slice(line.lastIndexOf(' ') + 1));
  return bytes !== undefined && bytes.length >= LEAST_SIGNATURE_BYTES;
}

/**
 * The notes of a text, each as it was signed. What isn't a whole note is passed over: a note whose writing a power cut ended
 * proves nothing, and its writer appends the next one all the same.
 */
export function splitNotes(text: string): string[] {
  const notes: string[] = [];
  let before: string | undefined;
  for (const paragraph of text.split(/\n(?:[ \t]*\n)+/)) {
    const body = paragraph.replace(/^\n+|\n+$/g, '');
    if (body === '') continue;
    const signed = before !== undefined && body.split('\n').every(isSignature);
    if (signed) notes.push(`${before}\n\n${body}\n`);
    before = signed ? undefined : body;
  }
  return notes;
}
