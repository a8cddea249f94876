// Arguments: exchange, address of the venue, how many orders.
import ccxt from 'ccxt';
import steps from './steps.cjs';

const [venue, url, count] = process.argv.slice(2);
await steps.trade(ccxt, venue, url, Number(count));
