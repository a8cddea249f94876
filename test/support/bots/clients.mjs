// Arguments: library, address of the venue, how many orders.
import steps from './clients-steps.cjs';

const PACKAGES = {
  alpaca: () => import('@alpacahq/alpaca-trade-api'),
  binance: () => import('binance'),
  bybit: () => import('bybit-api'),
};

const [library, url, count] = process.argv.slice(2);
await steps.trade(library, await PACKAGES[library](), url, count);
