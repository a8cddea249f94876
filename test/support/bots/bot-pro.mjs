// Arguments: address of the venue, address of its socket.
import ccxt from 'ccxt';
import steps from './steps.cjs';

const [url, socketUrl] = process.argv.slice(2);
await steps.watch(ccxt, url, socketUrl);
