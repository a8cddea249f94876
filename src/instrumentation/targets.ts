/** The libraries that are instrumented, and the one file of each that is looked at when it is loaded: nothing else is touched. */

/** Everything that can be instrumented. `http` and `undici` need no library, `console` neither. */
export const INSTRUMENTATIONS = [
  'ccxt',
  'alpaca',
  'binance',
  'bybit',
  'ib',
  'opossum',
  'cockatiel',
  'pino',
  'winston',
  'bunyan',
  'console',
  'http',
  'undici',
  'pg',
  'ioredis',
  'kafkajs',
] as const;
export type Instrumentation = (typeof INSTRUMENTATIONS)[number];

/** A file of a library whose exports are handed over when it has run. */
export interface Target {
  readonly library: Instrumentation;
  /** End of its address. */
  readonly file: RegExp;
  /** What an ES module hands over: names of its own scope. A CommonJS module hands over `module.exports`. */
  readonly names: readonly string[];
}

export const TARGETS: readonly Target[] = [
  {
    library: 'ccxt',
    file: /\/ccxt\/(?:js|dist\/cjs)\/src\/base\/Exchange\.js$/,
    names: ['BaseExchange', 'Exchange'],
  },
  {
    library: 'alpaca',
    // 4 has it in one file of several, 3 in the class.
    file: /\/@alpacahq\/alpaca-trade-api\/dist\/(?:index\.m?js|rest\.m?js|alpaca-trade-api\.js)$/,
    names: ['OrdersApi'],
  },
  { library: 'binance', file: /\/binance\/lib\/util\/BaseRestClient\.js$/, names: [] },
  { library: 'bybit', file: /\/bybit-api\/lib\/util\/BaseRestClient\.js$/, names: [] },
  { library: 'ib', file: /\/@stoqey\/ib\/dist\/api\/api\.js$/, names: [] },
  { library: 'opossum', file: /\/opossum\/lib\/circuit\.js$/, names: [] },
  {
    library: 'cockatiel',
    file: /\/cockatiel\/dist\/(?:esm\/)?CircuitBreakerPolicy\.js$/,
    names: ['CircuitBreakerPolicy'],
  },
  { library: 'pino', file: /\/pino\/lib\/tools\.js$/, names: [] },
  { library: 'winston', file: /\/winston\/lib\/winston\/logger\.js$/, names: [] },
  { library: 'bunyan', file: /\/bunyan\/lib\/bunyan\.js$/, names: [] },
  { library: 'pg', file: /\/(?:pg\/lib|pg-pool)\/index\.js$/, names: [] },
  { library: 'ioredis', file: /\/ioredis\/built\/index\.js$/, names: [] },
  { library: 'kafkajs', file: /\/kafkajs\/index\.js$/, names: [] },
];
