/**
 * Which names stand for secrets. A name is cut into words (camelCase, snake_case, kebab-case, dots), and it is secret when
 * its *last* words are one of the list: `access_token`, `X-MBX-APIKEY`, `binance.secretKey`. In English the last word says
 * what a thing is, so `token_count`, `passwordLength`, `cookie_consent` and `tokenize` are no secrets. Words that only say
 * how a secret is written (`password_hash`, `apiKeyValue`, `token2`) are passed over.
 */

/** Whole names, without their separators. Plurals are meant too. */
const SECRET_NAMES = [
  ...['apikey', 'apisecret', 'apisign', 'bapisign', 'accesssign', 'accesskey', 'secretkey', 'privatekey', 'signingkey'],
  ...['encryptionkey', 'masterkey', 'sshkey', 'listenkey', 'sessionkey', 'sharedkey', 'accountkey', 'sessiontoken'],
  ...['secret', 'password', 'passwd', 'pwd', 'passphrase', 'passcode', 'token', 'accesstoken', 'refreshtoken'],
  ...['authorization', 'cookie', 'credential', 'signature', 'jwt', 'bearer', 'otp', 'totp', 'mnemonic', 'seedphrase'],
  ...['recoveryphrase', 'cvv', 'cvc', 'ssn', 'socialsecurity', 'socialsecuritynumber', 'creditcard', 'cardnumber'],
  ...['ccnumber', 'creditcardnumber', 'xmbxapikey'],
];

/** Names that are secret only where a string of at least so many characters stands under them: `sign` is also a side. */
const CONDITIONAL_NAMES: Readonly<Record<string, number>> = { sign: 16, sig: 16, hmac: 16, pass: 1, auth: 8 };

/** Words behind a secret's name that say how it is written, not what it is. */
const QUALIFIERS = new Set(
  'value text plain plaintext raw encoded encrypted base hash hex string str header param pem old new current previous'.split(
    ' ',
  ),
);

/** Last words of names under which long digit strings are ids, not cards. */
const ID_WORDS = new Set(
  'id ids oid uuid guid ref reference hash seq sequence nonce time timestamp ts ms ns'.split(' '),
);

const WORDS = /[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+/g;
const MAX_NAME = 96;
const MAX_CACHED = 4096;

/** The words of a name, in lower case. Of a very long name only its end counts. */
export function wordsOf(name: string): string[] {
  const words = (name.length > MAX_NAME ? name.slice(-MAX_NAME) : name).match(WORDS);
  return words === null ? [] : words.map((word) => word.toLowerCase());
}

/** Whether a name is that of an id or a time: long digit strings under it are not looked at as cards. */
export function isIdName(name: string): boolean {
  return ID_WORDS.has(wordsOf(name).at(-1) ?? '');
}

/** What a name says of its value: 0 no secret, -1 a secret whatever it is, n > 0 a secret if it is a string of ≥ n characters. */
export type SecretLevel = number;

export interface NameRules {
  /** Cached: made for attribute names, of which there are few. */
  level(name: string): SecretLevel;
  /** By character code: 1 where a secret's name may end so. Tells most names in a text apart at a glance. */
  readonly endings: Uint8Array;
  /** Not cached: for names found in free text, of which there may be many. */
  levelOfText(name: string): SecretLevel;
}

/**
 * @param keys names that are secret besides the built-in ones, in any spelling
 * @param except names that are not, in any spelling
 */
export function createNameRules(keys: readonly string[], except: readonly string[]): NameRules {
  const joined = (name: string) => wordsOf(name).join('');
  const secret = new Set([...SECRET_NAMES, ...SECRET_NAMES.map((name) => `${name}s`), ...keys.map(joined)]);
  const exceptions = new Set(except.map(joined));
  const longest = Math.max(4, ...[...keys, ...except].map((key) => wordsOf(key).length));
  const endings = new Uint8Array(128);
  for (const char of '0123456789_-.') endings[char.charCodeAt(0)] = 1;
  for (const name of [...secret, ...Object.keys(CONDITIONAL_NAMES), ...QUALIFIERS]) {
    const last = name.at(-1)!;
    for (const char of [last, last.toUpperCase()]) endings[char.charCodeAt(0)] = 1;
  }
  const cache = new Map<string, SecretLevel>();

  function levelOfText(name: string): SecretLevel {
    const words = wordsOf(name);
    if (words.length === 0 || (exceptions.size > 0 && exceptions.has(words.join('')))) return 0;
    for (let end = words.length; end > 0; end--) {
      let tail = '';
      // The longest name wins: an exception for `token` leaves `access_token` a secret.
      let level: SecretLevel | undefined;
      for (let start = end - 1; start >= 0 && start >= end - longest; start--) {
        tail = words[start] + tail;
        if (exceptions.has(tail)) level = 0;
        else if (secret.has(tail)) level = -1;
      }
      if (level !== undefined) return level;
      const last = words[end - 1]!;
      if (Object.hasOwn(CONDITIONAL_NAMES, last)) return CONDITIONAL_NAMES[last]!;
      if (!QUALIFIERS.has(last) && !(last.charCodeAt(0) <= 57)) break;
    }
    return 0;
  }

  return {
    endings,
    levelOfText,
    level(name) {
      let level = cache.get(name);
      if (level === undefined) {
        level = levelOfText(name);
        if (cache.size >= MAX_CACHED) cache.clear();
        cache.set(name, level);
      }
      return level;
    },
  };
}
