import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRedactor, MASK } from '../../src/telemetry/redaction.ts';

const redactor = createRedactor();

/** Texts in which the signs that masking looks for are frequent. */
const hostileText = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '=',
        ':',
        '"',
        "'",
        '\\',
        '@',
        '.',
        '-',
        ' ',
        '&',
        '?',
        '#',
        '://',
        '\n',
        '[',
        '{',
        '}',
        ']',
        '%',
      ),
      fc.constantFrom(
        'password',
        'api_key',
        'Bearer ',
        'Basic ',
        'eyJ',
        '-----BEGIN',
        ' PRIVATE KEY-----',
        '-----END',
        MASK,
      ),
      fc.stringMatching(/^\d{1,20}$/),
      fc.string({ unit: 'binary', maxLength: 8 }),
      fc.stringMatching(/^\w{0,9}$/),
    ),
    { maxLength: 40 },
  )
  .map((parts) => parts.join(''));

const secret = fc.stringMatching(/^Zq[A-Za-z0-9]{10,30}$/);

/** Digits of a card with a right check digit. */
const card = fc.stringMatching(/^4\d{14}$/).map((digits) => {
  for (let check = 0; check < 10; check++) {
    const number = `${digits}${check}`;
    const sum = [...number].reduce((total, digit, index) => {
      const value = Number(digit) * (index % 2 === 0 ? 2 : 1);
      return total + (value > 9 ? value - 9 : value);
    }, 0);
    if (sum % 10 === 0) return number;
  }
  throw new Error('unreachable');
});

describe('masking of any text', () => {
  it('a secret behind its name is gone', () => {
    fc.assert(
      fc.property(
        hostileText,
        fc.constantFrom('api_key=', 'password: ', '"token":"', 'X-MBX-APIKEY: ', '&signature=', 'clientSecret = '),
        secret,
        hostileText,
        (before, name, value, after) => {
          // A line of its own: what stands in front may be an open quote, which then holds the name as text.
          expect(redactor.text(`${before}\n${name}${value} ${after}`)).not.toContain(value);
        },
      ),
    );
  });

  it('a card, an e-mail address and a token between blanks are gone', () => {
    fc.assert(
      fc.property(hostileText, card, hostileText, (before, number, after) => {
        const grouped = number.replace(/(.{4})(?=.)/g, '$1-');
        const text = `${before}\n${number}\n${grouped}\nbob.${number}@example.com\nBearer Zq${number}\n${after}`;
        const masked = redactor.text(text);
        expect(masked).not.toContain(`\n${number}\n`);
        expect(masked).not.toContain(grouped);
        expect(masked).not.toContain('@example.com');
        expect(masked).not.toContain(`Zq${number}`);
      }),
    );
  });

  it('the second masking changes nothing more', () => {
    fc.assert(
      fc.property(hostileText, (text) => {
        const once = redactor.text(text);
        expect(redactor.text(once)).toBe(once);
      }),
    );
  });

  it('a text without any sign that is looked for stays', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z ,;!]{0,80}$/), (text) => {
        fc.pre(!/\b(?:bearer|basic) /i.test(text));
        expect(redactor.text(text)).toBe(text);
      }),
    );
  });

  it('values of any form are masked without a throw, and numbers stay', () => {
    fc.assert(
      fc.property(fc.anything(), fc.string(), (value, name) => {
        redactor.deep(value, name);
        redactor.attribute(name, value);
        redactor.url(String(name));
      }),
    );
  });
});
