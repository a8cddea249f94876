/** Watches for libraries and instruments each when it is loaded; nothing of a library that isn't used is loaded. */
import { loadNow } from '../core/load-now.ts';
import type * as Cockatiel from './breakers/cockatiel.ts';
import type * as Opossum from './breakers/opossum.ts';
import type * as Ccxt from './ccxt/instrument.ts';
import { watchBuiltins, watchModules } from './hooks.ts';
import { findHost, guarded } from './host.ts';
import { watchHttp } from './http.ts';
import { instrumentBunyanLogger } from './loggers/bunyan.ts';
import { instrumentConsole } from './loggers/console.ts';
import { instrumentPinoTools } from './loggers/pino.ts';
import { instrumentWinstonLogger } from './loggers/winston.ts';
import { hasOfficialHttp, instrumentHttpModule, instrumentOfficially, isHttpModule, watchUndici } from './official.ts';
import type { Instrumentation } from './targets.ts';
import { instrumentAlpaca } from './venues/alpaca.ts';
import { instrumentBinance } from './venues/binance.ts';
import { instrumentBybit } from './venues/bybit.ts';
import { instrumentIb } from './venues/ib.ts';

/** Installs what is asked for in this thread. Without a running trail it does nothing but pass calls on. */
export function installInstrumentations(wanted: readonly Instrumentation[]): void {
  watchModules(wanted, (library, exports, url) =>
    guarded(findHost(), library, () => instrument(library, exports, url)),
  );
  if (wanted.includes('console')) instrumentConsole();
  if (wanted.includes('http')) {
    watchHttp();
    if (hasOfficialHttp()) watchBuiltins(isHttpModule, instrumentHttpModule);
  }
  if (wanted.includes('undici')) watchUndici();
}

/** What instruments a library is loaded when the library is, and at once: its file is about to be used. */
function instrument(library: Instrumentation, exports: unknown, url: string): void {
  switch (library) {
    case 'ccxt':
      loadNow<typeof Ccxt>(import.meta.url, './ccxt/instrument').instrumentCcxt(exports as Ccxt.CcxtModule);
      break;
    case 'alpaca':
      instrumentAlpaca(exports);
      break;
    case 'binance':
      instrumentBinance(exports);
      break;
    case 'bybit':
      instrumentBybit(exports);
      break;
    case 'ib':
      instrumentIb(exports);
      break;
    case 'opossum':
      loadNow<typeof Opossum>(import.meta.url, './breakers/opossum').instrumentOpossum(exports);
      break;
    case 'cockatiel':
      loadNow<typeof Cockatiel>(import.meta.url, './breakers/cockatiel').instrumentCockatiel(
        exports as { CircuitBreakerPolicy?: unknown },
      );
      break;
    case 'pino':
      instrumentPinoTools(exports as object);
      break;
    case 'winston':
      instrumentWinstonLogger(exports);
      break;
    case 'bunyan':
      instrumentBunyanLogger(exports);
      break;
    case 'pg':
    case 'ioredis':
    case 'kafkajs':
      instrumentOfficially(library, exports, url);
      break;
  }
}
