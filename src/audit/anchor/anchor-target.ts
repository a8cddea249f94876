/** Where checkpoints are anchored: places away from the trail, written as the setting has them. */
import { resolve } from 'node:path';
import { describeValue, RiskTrailError } from '../../core/errors.ts';

/** A place that takes notes. */
export type AnchorTarget =
  /** An append-only file of all notes, friendly to version control. */
  | { readonly kind: 'file'; readonly path: string }
  /** A directory with the newest note of each stream in `<stream UUID>/checkpoint`. */
  | { readonly kind: 'dir'; readonly path: string }
  /** An HTTP(S) address to which each note is posted as text. */
  | { readonly kind: 'webhook'; readonly url: string };

const EXPECTED = 'file:PATH, dir:PATH or an address https://… or http://…';
/** A comma that ends one anchor: what follows is the beginning of the next. */
const BORDER = /,(?=\s*(?:file:|dir:|https?:\/\/))/;

function invalid(text: string): RiskTrailError {
  return new RiskTrailError('OPTION_INVALID', { field: 'anchors', expected: EXPECTED, received: describeValue(text) });
}

/**
 * Reads one anchor: `file:/mnt/audit/anchors.notes`, `dir:/mnt/audit`, `https://anchor.example/notes`.
 * @throws RiskTrailError OPTION_INVALID
 */
export function parseAnchor(text: string): AnchorTarget {
  const trimmed = text.trim();
  const [, kind, path] = /^(file|dir):(.+)$/s.exec(trimmed) ?? [];
  if (kind !== undefined && path !== undefined) return { kind: kind as 'file' | 'dir', path: resolve(path) };
  const url = URL.parse(trimmed);
  if (url === null || !/^https?:$/.test(url.protocol)) throw invalid(url === null ? trimmed : withoutSecrets(trimmed));
  return { kind: 'webhook', url: trimmed };
}

/**
 * Reads the setting `RISKTRAIL_ANCHORS`: anchors with commas between them, none where it is blank.
 * @throws RiskTrailError OPTION_INVALID
 */
export function parseAnchors(text: string): AnchorTarget[] {
  return text.trim() === '' ? [] : text.split(BORDER).map(parseAnchor);
}

function withoutSecrets(address: string): string {
  const url = new URL(address);
  url.username = '';
  url.password = '';
  url.search = '';
  url.hash = '';
  return url.href;
}

/** What an anchor is called in messages: an address without user, password and query. */
export function anchorName(target: AnchorTarget): string {
  return target.kind === 'webhook' ? withoutSecrets(target.url) : `${target.kind}:${target.path}`;
}
