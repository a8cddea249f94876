/**
 * Secrets in free text. Every search here is one pass from left to right without backtracking, so that a long hostile
 * string costs no more per character than a short one; a first look decides which searches are needed at all.
 */
import { type Cut, type Cuts, cutDigits, isDigit, isWord, SHORTEST_RUN, separatorOf } from './redaction-digits.ts';
import type { NameRules } from './redaction-names.ts';

/** What stands in place of a secret. */
export const MASK = '***MASKED***';

const DIGITS = 1;
const AT = 2;
const PAIR = 4;
const SCHEME = 8;
const JWT = 16;
const PEM = 32;

const isSpace = (code: number) => code === 32 || (code >= 9 && code <= 13);
/** Characters of base64, base64url, and of dotted tokens. */
const isToken = (code: number) =>
  isWord(code) || code === 45 || code === 46 || code === 126 || code === 43 || code === 47 || code === 61;

/** One look over the text: which kinds of secret it can hold. 0: none. */
function look(text: string): number {
  let found = 0;
  let run = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 97) {
      if (code < 128 || separatorOf(code) === 0) run = 0;
      continue;
    }
    if (isDigit(code)) {
      if (++run >= SHORTEST_RUN) found |= DIGITS;
    } else if (code === 32) {
      // "Bearer x", "Basic x"
      if (i > 4) {
        const before = text.charCodeAt(i - 1) | 32;
        if (before === 114 && (text.charCodeAt(i - 6) | 32) === 98) found |= SCHEME;
        else if (before === 99 && (text.charCodeAt(i - 5) | 32) === 98) found |= SCHEME;
      }
    } else if (code === 46) continue;
    else if (code === 45) {
      if (text.charCodeAt(i + 1) === 66) found |= PEM;
    } else {
      run = 0;
      if (code === 64) found |= AT;
      else if (code === 61 || code === 58) found |= PAIR;
      else if (code === 74 && text.charCodeAt(i - 1) === 121) found |= JWT;
    }
  }
  return found;
}

/** What may stand in front of the @ of an address; letters beyond ASCII too. */
function isLocal(code: number): boolean {
  return isWord(code) || code === 46 || code === 37 || code === 43 || code === 45 || code === 39 || code > 127;
}

/** @param taken places of an @ that are those of URLs */
function cutEmails(text: string, taken: ReadonlySet<number>, cuts: Cuts): void {
  for (let at = text.indexOf('@'); at >= 0; at = text.indexOf('@', at + 1)) {
    if (taken.has(at)) continue;
    let start = at;
    while (isLocal(text.charCodeAt(start - 1))) start--;
    let end = at + 1;
    let dot = 0;
    for (; ; end++) {
      const code = text.charCodeAt(end);
      if (code === 46) dot = end;
      else if (!isWord(code) && code !== 45 && !(code > 127)) break;
    }
    // A full stop behind the address belongs to the sentence.
    if (dot === end - 1) {
      while (end > at + 1 && text.charCodeAt(end - 1) === 46) end--;
      dot = end - 1;
      while (dot > at && text.charCodeAt(dot) !== 46) dot--;
    }
    if (start < at && dot > at + 1 && end - dot > 2 && !isDigit(text.charCodeAt(dot + 1))) cuts.push({ start, end });
  }
}

/**
 * `scheme://user:password@host`: the password, or all in front of the @ where there is no colon.
 * @returns the places of the @
 */
function cutUserInfo(text: string, cuts: Cuts): Set<number> {
  const taken = new Set<number>();
  for (let at = text.indexOf('://'); at >= 0; at = text.indexOf('://', at + 3)) {
    const start = at + 3;
    let sign = -1;
    let colon = -1;
    let slash = -1;
    let end = start;
    for (; end < text.length; end++) {
      const code = text.charCodeAt(end);
      if (isSpace(code) || code === 34 || code === 39 || code === 60 || code === 62) break;
      if (code === 58) {
        // The next URL begins in the same word.
        if (text.startsWith('//', end + 1)) break;
        if (colon < 0) colon = end;
      } else if (code === 64) sign = end;
      else if (code === 47 || code === 63 || code === 35) {
        // A password may hold a slash that nobody encoded; a port and a path may not hold an @ that matters.
        const bare = sign < 0 && code === 47 && colon > 0 && !isDigit(text.charCodeAt(colon + 1));
        if (!bare) break;
        if (slash < 0) slash = end;
      }
    }
    if (sign < 0) continue;
    const from = colon > 0 && colon < sign ? colon + 1 : start;
    if (from < sign) cuts.push({ start: from, end: sign });
    taken.add(sign);
  }
  return taken;
}

function cutSchemes(text: string, cuts: Cuts): void {
  const find = /\b(bearer|basic) +/gi;
  for (let match = find.exec(text); match !== null; match = find.exec(text)) {
    const start = find.lastIndex;
    let end = start;
    while (isToken(text.charCodeAt(end))) end++;
    while (end > start && text.charCodeAt(end - 1) === 46) end--;
    const token = text.slice(start, end);
    if (isCredential(match[1]!, token)) cuts.push({ start, end });
  }
}

/** Whether a word behind `Bearer` or `Basic` is a credential rather than English ("basic information"). */
function isCredential(scheme: string, token: string): boolean {
  if (token.length < 4) return false;
  if (scheme[1] === 'a' || scheme[1] === 'A') return Buffer.from(token, 'base64').includes(58);
  if (/[\d._~+/=]/.test(token) || token.length >= 16) return true;
  return scheme[0] === 'B' && token.length >= 6 && !/^tokens?$/i.test(token);
}

function cutJwts(text: string, cuts: Cuts): void {
  for (let at = text.indexOf('eyJ'); at >= 0; ) {
    let end = at + 3;
    let dots = 0;
    for (; end < text.length; end++) {
      const code = text.charCodeAt(end);
      if (code === 46) dots++;
      else if (!isWord(code) && code !== 45) break;
    }
    if (dots >= 2) cuts.push({ start: at, end });
    at = text.indexOf('eyJ', end);
  }
}

const PEM_END = '-----END';

function cutPrivateKeys(text: string, cuts: Cuts): void {
  for (let at = text.indexOf('-----BEGIN'); at >= 0; ) {
    const label = text.slice(at + 10, at + 60);
    const close = label.indexOf('-----');
    if (close < 0 || !label.slice(0, close).includes('PRIVATE KEY')) {
      at = text.indexOf('-----BEGIN', at + 10);
      continue;
    }
    const last = text.indexOf(PEM_END, at + 10);
    // A key that was cut off is masked to the end of the text.
    const dashes = last < 0 ? -1 : text.indexOf('-----', last + PEM_END.length);
    const end = dashes < 0 ? text.length : dashes + 5;
    cuts.push({ start: at, end });
    at = text.indexOf('-----BEGIN', end);
  }
}

/** Longest name that is looked for in front of a `=` or `:`. */
const MAX_KEY = 64;
const isQuote = (code: number) => code === 34 || code === 39 || code === 96;
const AUTH_SCHEME = /^(?:bearer|basic|digest|negotiate|token|apikey|hmac|aws4-hmac-sha256) +/i;

/** `name=value`, `name: value`, `"name":"value"`, where the name is that of a secret. The name is kept. */
function cutPairs(text: string, names: NameRules, cuts: Cuts): void {
  for (let at = 0; at < text.length; at++) {
    const sign = text.charCodeAt(at);
    if (sign !== 61 && sign !== 58) continue;
    let end = at;
    while (end > 0 && text.charCodeAt(end - 1) === 32 && at - end < 4) end--;
    let quoted = false;
    while (end > 0 && (isQuote(text.charCodeAt(end - 1)) || text.charCodeAt(end - 1) === 92)) {
      end--;
      quoted = true;
    }
    if (end === 0 || names.endings[text.charCodeAt(end - 1)] !== 1) continue;
    let start = end;
    while (start > 0 && end - start < MAX_KEY) {
      const code = text.charCodeAt(start - 1);
      // Words with one space between them may be one name: "API key: …".
      if (!isWord(code) && code !== 45 && code !== 46 && !(code === 32 && start < end)) break;
      start--;
    }
    if (start === end) continue;
    const name = text.slice(start, end);
    const level = names.levelOfText(name);
    if (level === 0 || (level > 0 && sign === 58 && !quoted)) continue;
    const value = valueAfter(text, at, name);
    if (value === undefined || (level > 0 && value.end - value.start < level)) continue;
    cuts.push({ start: value.start, end: value.end });
    at = value.end - 1;
  }
}

/** Where the value behind a `=` or `:` begins and ends. */
function valueAfter(text: string, at: number, name: string): Cut | undefined {
  let start = at + 1;
  // `==`, `=>`, `:=`
  while (text.charCodeAt(start) === 61 || text.charCodeAt(start) === 62) start++;
  let spaces = 0;
  while (text.charCodeAt(start) === 32 && spaces++ < 4) start++;
  let escaped = false;
  if (text.charCodeAt(start) === 92 && isQuote(text.charCodeAt(start + 1))) {
    escaped = true;
    start++;
  }
  const quote = text.charCodeAt(start);
  // Values that hold spaces: a scheme and its credential, a list of cookies, the words of a phrase.
  const wholeLine = /(?:authorization|cookie|phrase|mnemonic)s?$/i.test(name);
  let end: number;
  if (isQuote(quote)) {
    start++;
    end = start;
    for (; end < text.length; end++) {
      const code = text.charCodeAt(end);
      if (code === 92) {
        if (escaped && text.charCodeAt(end + 1) === quote) break;
        end++;
      } else if (code === quote) break;
    }
    if (end > text.length) end = text.length;
  } else if (quote === 91 || quote === 123) {
    // A list or an object: all of it.
    const close = text.indexOf(quote === 91 ? ']' : '}', start);
    end = close < 0 ? text.length : close + 1;
  } else {
    end = start;
    for (; end < text.length; end++) {
      const code = text.charCodeAt(end);
      if (code === 10 || code === 13) break;
      if (code === 34 || code === 39 || code === 96 || code === 125 || code === 93 || code === 60) break;
      if (!wholeLine && (isSpace(code) || code === 38 || code === 44 || code === 59 || code === 41)) break;
    }
  }
  if (wholeLine) {
    const scheme = AUTH_SCHEME.exec(text.slice(start, Math.min(end, start + 24)));
    if (scheme !== null && start + scheme[0].length < end) start += scheme[0].length;
  }
  return end > start ? { start, end } : undefined;
}

/** Text with each cut replaced by the mask; overlapping cuts become one. */
function apply(text: string, cuts: Cuts): string {
  cuts.sort((a, b) => a.start - b.start || b.end - a.end);
  let result = '';
  let done = 0;
  for (let i = 0; i < cuts.length; ) {
    const { start } = cuts[i]!;
    let { end } = cuts[i]!;
    for (i++; i < cuts.length && cuts[i]!.start < end; i++) end = Math.max(end, cuts[i]!.end);
    result += text.slice(done, start) + MASK;
    done = end;
  }
  return result + text.slice(done);
}

/**
 * Free text with its secrets masked.
 * @param digits whether digit strings may be cards and SSNs (not under an id's name)
 */
export function maskText(text: string, names: NameRules, digits: boolean): string {
  const found = look(text);
  if (found === 0 || (found === DIGITS && !digits)) return text;
  const cuts: Cuts = [];
  if ((found & DIGITS) !== 0 && digits) cutDigits(text, cuts);
  if ((found & AT) !== 0) cutEmails(text, cutUserInfo(text, cuts), cuts);
  if ((found & SCHEME) !== 0) cutSchemes(text, cuts);
  if ((found & JWT) !== 0) cutJwts(text, cuts);
  if ((found & PEM) !== 0) cutPrivateKeys(text, cuts);
  if ((found & PAIR) !== 0) cutPairs(text, names, cuts);
  return cuts.length === 0 ? text : apply(text, cuts);
}
