// The package by its name is its source here, as an installed one is what was built.
import { registerHooks } from 'node:module';

const source = new URL('../../../src/index.ts', import.meta.url).href;
registerHooks({
  resolve: (specifier, context, next) => (specifier === 'risktrail' ? next(source, context) : next(specifier, context)),
});
