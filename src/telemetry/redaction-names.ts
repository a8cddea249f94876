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

/** Attributes of OpenTelemetry's conventions, old and new, that hold a URL or a part of one. */
const URL_NAMES = new Set([
  'url.full',
  'url.query',
  'url.path',
  'http.url',
  'http.target',
  'api.endpoint',
  'http.route',
]);
const URL_WORDS = new Set(['url', 'uri', 'href', 'endpoint']);

const WORDS = /[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+/g;
const MAX_NAME = 96;
const MAX_CACHED = 4096;

/** The words of a name, in lower case. Of a very long name only its end counts. */
export function wordsOf(name: string): string[] {
  const words = (name.length > MAX_NAME ? name.slice(-MAX_NAME) : name).match(WORDS);
  return words === null ? [] : words.map((word) => word.toLowerCase());
}

/** Whether a name is that of an id or a time: long digit strings under it are not looked at as cards. */
function isIdName(name: string): boolean {
  return ID_WORDS.has(wordsOf(name).at(-1) ?? '');
}

function isUrlName(name: string): boolean {
  return URL_NAMES.has(name) || URL_WORDS.has(wordsOf(name).at(-1) ?? '');
}

/** What a name says of its value: 0 no secret, -1 a secret whatever it is, n > 0 a secret if it is a string of ≥ n characters. */
export type SecretLevel = number;

/** What a name says of what stands under it. */
export interface NameMeaning {
  readonly level: SecretLevel;
  /** See {@link isIdName}. */
  readonly isId: boolean;
  /** It holds a URL or a part of one. */
  readonly isUrl: boolean;
}

/** What the name of a member says. */
export interface MemberMeaning {
  /** Of its name behind that of the map. */
  readonly pathLevel: SecretLevel;
  /** Of its name alone. */
  readonly own: NameMeaning;
}

export interface NameRules {
  /** Cached: made for attribute names, of which there are few. */
  meaning(name: string): NameMeaning;
  /** Of the members of maps under that name; cached as well. @param parent empty: of maps without a name */
  memberMeaning(parent: string): (key: string) => MemberMeaning;
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
  const meanings = new Map<string, NameMeaning>();
  const members = new Map<string, (key: string) => MemberMeaning>();
  let cachedMembers = 0;

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

  function meaning(name: string): NameMeaning {
    const known = meanings.get(name);
    if (known !== undefined) return known;
    const made = { level: levelOfText(name), isId: isIdName(name), isUrl: isUrlName(name) };
    if (meanings.size >= MAX_CACHED) meanings.clear();
    meanings.set(name, made);
    return made;
  }

  /** Without the path put together anew for each member of each map: a snapshot of open orders has ten thousand. */
  function memberMeaning(parent: string): (key: string) => MemberMeaning {
    const known = members.get(parent);
    if (known !== undefined) return known;
    const byKey = new Map<string, MemberMeaning>();
    const of = (key: string): MemberMeaning => {
      const before = byKey.get(key);
      if (before !== undefined) return before;
      const own = meaning(key);
      const made = { pathLevel: parent === '' ? own.level : levelOfText(`${parent}.${key}`), own };
      if (cachedMembers >= MAX_CACHED) {
        cachedMembers = 0;
        members.clear();
        byKey.clear();
      }
      cachedMembers++;
      byKey.set(key, made);
      return made;
    };
    members.set(parent, of);
    cachedMembers++;
    return of;
  }

  return { endings, levelOfText, meaning, memberMeaning };
}
