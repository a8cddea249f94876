/**
 * Loads a module of ours at once, when it is needed and no earlier, without a promise. Node's asynchronous way takes longer,
 * module for module; both give the same module.
 * https://nodejs.org/api/modules.html#loading-ecmascript-modules-using-require
 */
import { createRequire } from 'node:module';

/**
 * The module at `path`, which has no ending: it is that of the asking file.
 * @param from address of the asking file
 * @typeParam T `typeof` the module, which nothing in it may make asynchronous: no `await` at the top of a file
 */
export function loadNow<T>(from: string, path: string): T {
  return createRequire(from)(`${path}${from.slice(from.lastIndexOf('.'))}`) as T;
}
