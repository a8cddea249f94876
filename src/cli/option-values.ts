/** How the values of options are read. */
import { InvalidArgumentError } from 'commander';

/** A whole number of at least `least`. */
export function parseCount(least: number): (text: string) => number {
  return (text) => {
    const count = Number(text);
    if (!/^\d+$/.test(text) || count < least) throw new InvalidArgumentError(`expected a whole number ≥ ${least}.`);
    return count;
  };
}

/** Gathers an option that may be given several times. */
export const gather = (value: string, before: readonly string[] | undefined): readonly string[] => [
  ...(before ?? []),
  value,
];
