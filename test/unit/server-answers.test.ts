import { describe, expect, it } from 'vitest';
import { AnswerCache } from '../../src/server/answers.ts';

/** An answer that is made when it is told to be, and what became of it. */
function slow() {
  const made = { count: 0, stopped: false };
  let end: (text: string) => void = () => {};
  const make = (stop: AbortSignal) =>
    new Promise<string>((resolve, reject) => {
      made.count++;
      end = resolve;
      stop.addEventListener('abort', () => {
        made.stopped = true;
        reject(new Error('stopped'));
      });
    });
  return { made, make, end: (text: string) => end(text) };
}

describe('an answer that is being made', () => {
  it('is made once for all who ask, and kept', async () => {
    const answers = new AnswerCache(1000);
    const { made, make, end } = slow();
    const both = [answers.get('tag', make), answers.get('tag', make, new AbortController().signal)];
    end('text');
    expect(await Promise.all(both)).toEqual(['text', 'text']);
    expect([await answers.get('tag', make), made]).toEqual(['text', { count: 1, stopped: false }]);
  });

  it('goes on while somebody waits, and ends with the last who leaves', async () => {
    const answers = new AnswerCache(1000);
    const { made, make } = slow();
    const [first, second] = [new AbortController(), new AbortController()];
    const both = [answers.get('tag', make, first.signal), answers.get('tag', make, second.signal)];
    first.abort();
    expect(made).toEqual({ count: 1, stopped: false });
    second.abort();
    expect(made).toEqual({ count: 1, stopped: true });
    expect((await Promise.allSettled(both)).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  });

  it('is begun anew for who comes behind the last who left', async () => {
    const answers = new AnswerCache(1000);
    const left = slow();
    const gone = new AbortController();
    const first = answers.get('tag', left.make, gone.signal);
    gone.abort();
    const next = slow();
    const second = answers.get('tag', next.make);
    await expect(first).rejects.toThrow('stopped');
    next.end('text');
    expect(await second).toBe('text');
  });

  it('goes to its end where somebody asked who does not say when he leaves', async () => {
    const answers = new AnswerCache(1000);
    const { made, make, end } = slow();
    const gone = new AbortController();
    const both = [answers.get('tag', make), answers.get('tag', make, gone.signal)];
    gone.abort();
    expect(made.stopped).toBe(false);
    end('text');
    expect(await both[0]).toBe('text');
    await both[1];
  });
});
