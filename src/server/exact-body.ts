/**
 * Values of an address are text, and are turned into what the schema says; a body of JSON has types of its own: `false` is no
 * name. What the validator turned into another type is refused.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { describeValue } from '../core/errors.ts';
import { ProblemError } from './problem.ts';

/** Adds the check to a server. */
export function addExactBodies(app: FastifyInstance): void {
  const given = new WeakMap<FastifyRequest, unknown>();
  app.addHook('preValidation', async (request) => {
    if (typeof request.body === 'object') given.set(request, structuredClone(request.body));
  });
  app.addHook('preHandler', async (request) => {
    refuseTurned(given.get(request), request.body, []);
  });
}

/** Defaults may come in; what was given must still be what it was. */
function refuseTurned(given: unknown, read: unknown, path: readonly string[]): void {
  if (typeof given !== 'object' || given === null) {
    if (Object.is(given, read)) return;
    throw wrongType(path, given, read);
  }
  if (typeof read !== 'object' || read === null || Array.isArray(given) !== Array.isArray(read)) {
    throw wrongType(path, given, read);
  }
  for (const [name, value] of Object.entries(given)) {
    refuseTurned(value, (read as Readonly<Record<string, unknown>>)[name], [...path, name]);
  }
}

function wrongType(path: readonly string[], given: unknown, read: unknown): ProblemError {
  const expected = Array.isArray(read) ? 'a list' : read === null ? 'null' : `a value of type ${typeof read}`;
  const name = path.length === 0 ? 'the body' : path.join('.');
  return new ProblemError(400, 'OPTION_INVALID', `${name}: expected ${expected}, got ${describeValue(given)}`, {
    remedy: 'Correct the named parameter.',
  });
}
