import { describe, expect, it } from 'vitest';
import { pagerCommand } from '../../../src/cli/pager.ts';

const on = (
  env: Readonly<Record<string, string>>,
  installed: readonly string[] = ['less', 'more'],
  isTerminal = true,
) => pagerCommand({ env, isTerminal, isInstalled: (command) => installed.includes(command) });

describe('the pager', () => {
  it('is less where PAGER names none and less is installed', () => {
    expect(on({})).toBe('less -FRX');
    expect(on({}, [])).toBeUndefined();
  });

  it('is what PAGER says, with its options and assignments', () => {
    expect(on({ PAGER: 'more' })).toBe('more');
    expect(on({ PAGER: ' less -S ' })).toBe('less -S');
    expect(on({ PAGER: 'LESSSECURE=1 less -R' })).toBe('LESSSECURE=1 less -R');
  });

  it('is none where the output is no terminal, or where nobody wants one', () => {
    expect(on({ PAGER: 'more' }, ['more'], false)).toBeUndefined();
    expect(on({ PAGER: 'more', NO_PAGER: '1' })).toBeUndefined();
    expect(on({ PAGER: 'more', TERM: 'dumb' })).toBeUndefined();
    expect(on({ PAGER: '' })).toBeUndefined();
    expect(on({ PAGER: 'cat' })).toBeUndefined();
  });

  it('is none where it is not installed: the text is worth more', () => {
    expect(on({ PAGER: 'most' })).toBeUndefined();
  });
});
