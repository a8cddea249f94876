/** `risktrail/instrumentation`: instrumentations by hand, for bundles, which no hook sees, and for clients of one's own. */
export { instrumentCockatiel } from './breakers/cockatiel.ts';
export { instrumentOpossum } from './breakers/opossum.ts';
export {
  type BrokerError,
  type BrokerMapping,
  type BrokerMethod,
  type BrokerOptions,
  type BrokerOrder,
  instrumentBroker,
} from './broker.ts';
export { type CcxtModule, instrumentCcxt } from './ccxt/instrument.ts';
export type { LogRule } from './host.ts';
export { INSTRUMENTATIONS, type Instrumentation } from './targets.ts';
export { instrumentAlpaca } from './venues/alpaca.ts';
export { instrumentBinance } from './venues/binance.ts';
export { instrumentBybit } from './venues/bybit.ts';
export { instrumentIb } from './venues/ib.ts';
