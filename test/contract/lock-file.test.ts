import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

interface LockedPackage {
  readonly version?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

describe('package-lock.json', () => {
  const { packages } = JSON.parse(readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8')) as {
    packages: Readonly<Record<string, LockedPackage>>;
  };

  // A registry that lacks the binary of some platform makes npm leave its entry out: then `npm ci` fails on every platform.
  it('has an entry for each optional dependency, whichever platform it was made on', () => {
    const absent = Object.entries(packages).flatMap(([owner, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter(
        (name) =>
          packages[`node_modules/${name}`] === undefined && packages[`${owner}/node_modules/${name}`] === undefined,
      ),
    );
    expect(absent).toEqual([]);
  });
});
