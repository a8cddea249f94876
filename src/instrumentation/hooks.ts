/**
 * Sees the files of {@link TARGETS} while they are loaded, by `import` and by `require` alike, with Node's synchronous hooks:
 * a line at the end of such a file hands its exports over. What the file does stays as it is, and every other file passes by.
 * https://nodejs.org/api/module.html#moduleregisterhooksoptions
 */
import { registerHooks } from 'node:module';
import type { Instrumentation, Target } from './targets.ts';
import { TARGETS } from './targets.ts';

/** Told of a library's file that has run. @param url its address */
export type Loaded = (library: Instrumentation, exports: unknown, url: string) => void;

const LOADED = Symbol.for('risktrail.loaded');

const holder = globalThis as { [LOADED]?: Loaded | undefined };

function handOver({ library, names }: Target, format: string | null | undefined, url: string): string {
  const exports =
    format === 'module' || format === 'module-typescript'
      ? `{${names.map((name) => `${name}: typeof ${name} === 'undefined' ? undefined : ${name}`).join(',')}}`
      : 'module.exports';
  return `\n;globalThis[Symbol.for('risktrail.loaded')]?.(${JSON.stringify(library)}, ${exports}, ${JSON.stringify(url)});\n`;
}

/**
 * Watches for the libraries.
 * @param loaded must not throw
 */
export function watchModules(libraries: readonly Instrumentation[], loaded: Loaded): void {
  const targets = TARGETS.filter(({ library }) => libraries.includes(library));
  if (targets.length === 0) return;
  Object.defineProperty(holder, LOADED, { value: loaded, configurable: true });
  registerHooks({
    load(url, context, nextLoad) {
      const result = nextLoad(url, context);
      // One look at most addresses: they are in no library of ours.
      if (!url.endsWith('js') || !url.includes('/node_modules/')) return result;
      const target = targets.find(({ file }) => file.test(url));
      const { source } = result;
      if (target === undefined || source === undefined || source === null) return result;
      const text = typeof source === 'string' ? source : new TextDecoder().decode(source as Uint8Array);
      return { ...result, source: text + handOver(target, result.format, url) };
    },
  });
}

/**
 * Watches for modules of Node's.
 * @param asked told of what a file asks for, before it gets it; must not throw
 */
export function watchBuiltins(isWanted: (specifier: string) => boolean, asked: (specifier: string) => void): void {
  registerHooks({
    resolve(specifier, context, nextResolve) {
      if (isWanted(specifier)) asked(specifier);
      return nextResolve(specifier, context);
    },
  });
}
