import { describe, expect, it } from 'vitest';
import { ATTRIBUTES } from '../../../src/catalog/attributes.ts';
import type { AttributeDefinition } from '../../../src/catalog/define.ts';
import { isRiskTrailError } from '../../../src/core/errors.ts';
import { createRedactor, MASK } from '../../../src/telemetry/redaction.ts';
import { passesLuhn } from '../../../src/telemetry/redaction-digits.ts';

const redactor = createRedactor();
const definition = (name: keyof typeof ATTRIBUTES): AttributeDefinition => ATTRIBUTES[name];

/** Repeatable random numbers (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function codeOf(act: () => unknown): string | undefined {
  try {
    act();
  } catch (error) {
    return isRiskTrailError(error) ? error.code : String(error);
  }
  return undefined;
}

describe('seed 002: sensitive data masking', () => {
  it.each([
    ['API keys', 'login with api_key=abc123', `login with api_key=${MASK}`],
    ['passwords', 'password=hunter2 user=bob', `password=${MASK} user=bob`],
    ['tokens', 'sent Bearer abcd1234', `sent Bearer ${MASK}`],
    ['Authorization headers', 'Authorization: Basic dXNlcjpwYXNz', `Authorization: Basic ${MASK}`],
    ['credit cards', 'paid by 4111 1111 1111 1111 today', `paid by ${MASK} today`],
    ['cards with no-break spaces', 'paid by 4111\u00a01111\u202f1111\u00a01111 today', `paid by ${MASK} today`],
    ['cards with typographic dashes', 'paid by 4111\u20131111\u20131111\u20131111 today', `paid by ${MASK} today`],
    ['SSN', 'ssn is 123-45-6789.', `ssn is ${MASK}.`],
    ['e-mail addresses', 'mail bob.smith@example.com, please', `mail ${MASK}, please`],
  ])('seed 002: masks %s', (_what, text, expected) => {
    expect(redactor.text(text)).toBe(expected);
  });
});

describe('names of secrets', () => {
  it.each([
    ...[
      'api_key',
      'apikey',
      'apiKey',
      'APIKey',
      'X-MBX-APIKEY',
      'binance.api.key',
      'secret',
      'clientSecret',
      'secretKey',
    ],
    ...['password', 'db_password', 'passwd', 'PASSWORD', 'token', 'accessToken', 'refresh-token', 'authorization'],
    ...[
      'http.request.header.authorization',
      'Proxy-Authorization',
      'cookie',
      'Set-Cookie',
      'private_key',
      'passphrase',
    ],
    ...[
      'signature',
      'X-Amz-Signature',
      'X-BAPI-SIGN',
      'OK-ACCESS-PASSPHRASE',
      'KC-API-SIGN',
      'listenKey',
      'password_hash',
    ],
    ...['tokens', 'api_keys', 'credentials', 'oauth2Token', 'token2'],
  ])('masks what stands under %s', (name) => {
    expect(redactor.attribute(name, 'abc')).toBe(MASK);
    expect(redactor.attribute(name, 12345)).toBe(MASK);
  });

  it.each([
    ...['tokenize', 'tokenizer', 'token_count', 'tokenType', 'passwordLength', 'cookie_consent', 'secretary', 'author'],
    ...['key', 'public_key', 'keyboard', 'signature_algorithm', 'session_id', 'compass', 'monkey', 'signal', 'design'],
  ])('leaves what stands under %s', (name) => {
    expect(redactor.attribute(name, 'abc')).toBe('abc');
  });

  it('calls no attribute of the catalogue a secret', () => {
    for (const [name, one] of Object.entries(ATTRIBUTES))
      expect([name, redactor.attribute(name, 'x', one)]).toEqual([name, 'x']);
  });

  it('leaves a short or numeric `sign`, which is a side, and masks a long one, which is a signature', () => {
    expect(redactor.attribute('sign', -1)).toBe(-1);
    expect(redactor.attribute('sign', 'buy')).toBe('buy');
    expect(redactor.attribute('sign', 'a3f5b7c9d1e3f5a7b9c1')).toBe(MASK);
  });

  it('takes further names, and exceptions from its own', () => {
    const own = createRedactor({ keys: ['internalRef'], except: ['token'] });
    expect(own.attribute('x.internal_ref', 'abc')).toBe(MASK);
    expect(own.text('internal-ref=abc')).toBe(`internal-ref=${MASK}`);
    expect(own.attribute('token', 'USDT')).toBe('USDT');
    expect(own.attribute('acme.token', 'USDT')).toBe('USDT');
    // The longest name wins: what grants access stays a secret, and an exception may be longer than a secret's name.
    expect(own.attribute('access_token', 'abc')).toBe(MASK);
    const longer = createRedactor({ except: ['reward_token'] });
    expect(longer.attribute('acme.rewardToken', 'USDT')).toBe('USDT');
    expect(longer.attribute('token', 'abc')).toBe(MASK);
  });
});

describe('ids of the catalogue', () => {
  const random = randomFrom(20081006);
  const ids: string[] = [];
  while (ids.length < 10_000) {
    const length = 13 + Math.floor(random() * 7);
    let id = String(1 + Math.floor(random() * 9));
    while (id.length < length) id += Math.floor(random() * 10);
    ids.push(id);
  }

  it('10,000 order ids of 13 to 19 digits survive, of which about one in ten passes the check digit of a card', () => {
    expect(ids.filter(passesLuhn).length).toBeGreaterThan(500);
    for (const id of ids) {
      expect(redactor.attribute('trading.order.id', id, definition('trading.order.id'))).toBe(id);
    }
    expect(redactor.attribute('trading.order.ids', ids, definition('trading.order.ids'))).toBe(ids);
  });

  it('they survive in metadata under names of ids', () => {
    for (const id of ids) {
      const metadata = { order_id: id, id, orderId: id, parent: { 'client-order-id': id, ids: [id] } };
      expect(redactor.attribute('metadata', metadata, definition('metadata'))).toBe(metadata);
    }
  });

  it('a card in free text does not survive, in metadata either', () => {
    const text = definition('risk.reason');
    for (const card of [
      '4111111111111111',
      '5555-5555-5555-4444',
      '3782 822463 10005',
      '6011111111111117',
      '4222222222222',
    ])
      expect(redactor.attribute('risk.reason', `pay ${card}!`, text)).toBe(`pay ${MASK}!`);
    expect(redactor.attribute('metadata', { note: 'card 4111111111111111' }, definition('metadata'))).toEqual({
      note: `card ${MASK}`,
    });
  });

  it('enumerations, prices and numbers stay', () => {
    expect(redactor.attribute('trading.side', 'buy', definition('trading.side'))).toBe('buy');
    expect(redactor.attribute('trading.price', '4111111111111111', definition('trading.price'))).toBe(
      '4111111111111111',
    );
    expect(redactor.attribute('trading.price', 4111111111111111, definition('trading.price'))).toBe(4111111111111111);
  });

  it('what a JavaScript caller puts in place of an enumeration or number is looked at as text', () => {
    expect(redactor.attribute('trading.side', 'bob@example.com', definition('trading.side'))).toBe(MASK);
    expect(redactor.attribute('trading.price', 'password=x', definition('trading.price'))).toBe(`password=${MASK}`);
  });
});

describe('free text', () => {
  it.each([
    ['{"apiKey":"abc","x":1}', `{"apiKey":"${MASK}","x":1}`],
    [String.raw`{\"api_secret\":\"s3\"}`, String.raw`{\"api_secret\":\"${MASK}\"}`],
    ["{ password: 'it\\'s', user: 'bob' }", `{ password: '${MASK}', user: 'bob' }`],
    ['{"tokens":["a","b"],"x":1}', `{"tokens":${MASK},"x":1}`],
    ['API key: abc', `API key: ${MASK}`],
    ['Cookie: a=b; c=d', `Cookie: ${MASK}`],
    ['seed phrase: legal winner thank year\nnext', `seed phrase: ${MASK}\nnext`],
    ['passphrase: correct horse battery', `passphrase: ${MASK}`],
    ['jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_1 here', `jwt ${MASK} here`],
    ['-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY----- tail', `${MASK} tail`],
    ['cut off -----BEGIN PRIVATE KEY-----\nMHc', `cut off ${MASK}`],
    ['postgres://bob:pa/ss@db:5432/x', `postgres://bob:${MASK}@db:5432/x`],
    ['https://ghp_abc@github.com/x', `https://${MASK}@github.com/x`],
    [
      'GET https://x.com/o?symbol=A&signature=ab12&timestamp=1',
      `GET https://x.com/o?symbol=A&signature=${MASK}&timestamp=1`,
    ],
    ['?X-Amz-Signature=ab&apiKey=cd', `?X-Amz-Signature=${MASK}&apiKey=${MASK}`],
    ['on 2024-01-15 4111 1111 1111 1111 was used', `on 2024-01-15 ${MASK} was used`],
    ['a@b.com and c@d.org', `${MASK} and ${MASK}`],
  ])('masks %s', (text, expected) => {
    expect(redactor.text(text)).toBe(expected);
    expect(redactor.text(expected)).toBe(expected);
  });

  it.each([
    ...['Position opened for AAPL', 'Slow: fetch took 152.3 ms, threshold 100 ms', 'basic information is given'],
    ...['bearer instruments', 'risktrail@0.1.0', 'token_count=5 tokenize: yes', 'https://host:8080/a@b', '12:30:45'],
    ...['550e8400-e29b-41d4-4716-446655440000', 'price 150.2512345678901234', 'ORD4111111111111111', '000-12-3456'],
    ...['4111 1111 1111 1112', '-----BEGIN PUBLIC KEY-----', 'qty 100 at 4000 of 12345678', ''],
  ])('leaves %s', (text) => {
    expect(redactor.text(text)).toBe(text);
  });

  it('works in linear time on long hostile texts', () => {
    const parts = ['eyJ', 'eyJ.', 'a@', 'a@b.', 'a:', '=', '://', '://a:b/', '1 ', '4111 ', '1-', 'Bearer ', 'basic a'];
    parts.push(
      '-----BEGIN ',
      '-----BEGIN PRIVATE KEY-----',
      'password="',
      'password=[',
      'a.',
      '\\"',
      'A',
      'key ',
      '%',
      '&a=',
    );
    for (const part of parts) {
      // A quadratic search would take minutes here, beyond the test's limit.
      const text = part.repeat(Math.ceil(1_000_000 / part.length));
      expect(redactor.text(text).length).toBeGreaterThan(0);
      expect(redactor.url(text).length).toBeGreaterThan(0);
      expect(redactor.attribute(text, 1)).toBeDefined();
    }
  });
});

describe('URLs', () => {
  it('masks signatures and keys, and keeps ids in the path', () => {
    expect(
      redactor.url(
        'https://api.x.com/v5/order/4111111111111111?api_key=k&sign=s&orderId=4111111111111111#access_token=q',
      ),
    ).toBe(
      `https://api.x.com/v5/order/4111111111111111?api_key=${MASK}&sign=${MASK}&orderId=4111111111111111#access_token=${MASK}`,
    );
    expect(redactor.url('symbol=BTCUSDT&signature=ab12')).toBe(`symbol=BTCUSDT&signature=${MASK}`);
    expect(redactor.url('/fapi/v1/order?signature=ab12')).toBe(`/fapi/v1/order?signature=${MASK}`);
    expect(redactor.url('/u?mail=bob%40example.com&ok=1')).toBe(`/u?mail=${MASK}&ok=1`);
    expect(redactor.url('https://u:p@h.com/?%73ignature=x')).toBe(`https://u:${MASK}@h.com/?%73ignature=${MASK}`);
  });

  it('knows attributes that hold URLs', () => {
    expect(redactor.attribute('url.query', 'sign=ab&symbol=A')).toBe(`sign=${MASK}&symbol=A`);
    expect(redactor.attribute('api.endpoint', '/o/4111111111111111?sig=a', definition('api.endpoint'))).toBe(
      `/o/4111111111111111?sig=${MASK}`,
    );
  });
});

describe('maps', () => {
  it('masks by name at any depth and by the path, and never changes what it was given', () => {
    const given = Object.freeze({
      api: Object.freeze({ key: 'k', url: '/a?sign=b' }),
      list: Object.freeze([Object.freeze({ password: 'x' }), 'bob@x.com', 5]),
      access_token: null,
      credentials: { user: 'u' },
      'bob@example.com': 1,
    });
    expect(redactor.deep(given, 'metadata')).toEqual({
      api: { key: MASK, url: `/a?sign=${MASK}` },
      list: [{ password: MASK }, MASK, 5],
      access_token: null,
      credentials: MASK,
      [MASK]: 1,
    });
    expect(given.api.key).toBe('k');
  });

  it('gives back the very object where nothing is masked', () => {
    const given = { a: { b: ['c', 1, true, null] } };
    expect(redactor.deep(given, 'metadata')).toBe(given);
  });

  it('masks by name and path whatever number of names came before', () => {
    // More than are remembered, in one map and in many, on two levels.
    for (let i = 0; i < 6000; i++) redactor.deep({ [`n${i}`]: { [`m${i}`]: 1, secret: 's' } }, 'metadata');
    const names = Array.from({ length: 6000 }, (_, i) => `n${i}`);
    const many = Object.fromEntries(names.map((name) => [name, { api: { key: 'k' }, token: 't', note: 'x' }]));
    const expected = Object.fromEntries(names.map((name) => [name, { api: { key: MASK }, token: MASK, note: 'x' }]));
    for (let turn = 0; turn < 2; turn++) expect(redactor.deep(many, 'metadata')).toEqual(expected);
  });

  it('masks whole what is nested too deeply or is circular', () => {
    const circular: Record<string, unknown> = { note: 'a@b.com' };
    circular['self'] = circular;
    const text = JSON.stringify(redactor.deep(circular, 'metadata'));
    expect(text).not.toContain('a@b.com');
    expect(text).toContain(MASK);
  });
});

describe('a redactor', () => {
  it('never throws: what it can not read it masks, and reports', () => {
    const told: string[] = [];
    const own = createRedactor({ report: (_error, where) => told.push(where) });
    const hostile = Object.defineProperty({}, 'x', {
      enumerable: true,
      get: () => {
        throw new Error('no');
      },
    });
    expect(own.deep(hostile, 'metadata')).toBe(MASK);
    expect(own.attribute('a', hostile)).toBe(MASK);
    expect(own.text(undefined as never)).toBe(MASK);
    expect(told).toEqual(['redactor.deep', 'redactor.attribute', 'redactor.text']);
  });

  it('survives a report that throws', () => {
    const own = createRedactor({
      report: () => {
        throw new Error('no');
      },
    });
    expect(own.text(undefined as never)).toBe(MASK);
  });

  it('applies patterns of the service', () => {
    const own = createRedactor({ patterns: [/ACC-\d+/i, 'X{3,5}'] });
    expect(own.text('acc-12 and XXXX')).toBe(`${MASK} and ${MASK}`);
  });

  it('refuses bad options at the start', () => {
    const throwing = /a/;
    throwing.test = () => {
      throw new Error('no');
    };
    for (const bad of ['(', 'a*', '(a+)+', '(?:a|b*)*x', /(x+x+)+y/, 7, null, throwing])
      expect([bad, codeOf(() => createRedactor({ patterns: [bad as never] }))]).toEqual([bad, 'OPTION_INVALID']);
    expect(codeOf(() => createRedactor({ patterns: 'x' as never }))).toBe('OPTION_INVALID');
    expect(codeOf(() => createRedactor({ keys: ['--'] }))).toBe('OPTION_INVALID');
    expect(codeOf(() => createRedactor({ keyz: [] } as never))).toBe('OPTION_UNKNOWN');
  });

  it('masks nothing where it is switched off', () => {
    const off = createRedactor({ enabled: false });
    expect(off.text('password=x')).toBe('password=x');
    expect(off.attribute('password', 'x')).toBe('x');
  });
});
