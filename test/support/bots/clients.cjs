// Arguments: library, address of the venue, how many orders.
const steps = require('./clients-steps.cjs');

const PACKAGES = {
  alpaca: () => require('@alpacahq/alpaca-trade-api'),
  binance: () => require('binance'),
  bybit: () => require('bybit-api'),
};

const [library, url, count] = process.argv.slice(2);
const loaded = PACKAGES[library]();
// A package that is a class itself is what `import` has as its default.
void steps.trade(library, typeof loaded === 'function' ? { default: loaded } : loaded, url, count);
