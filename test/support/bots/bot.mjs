// Arguments: exchange, address of the venue, how many orders, `changes` for an edit and cancels.
import ccxt from 'ccxt';
import steps from './steps.cjs';

const [venue, url, count, changes] = process.argv.slice(2);
await steps.trade(ccxt, venue, url, Number(count), changes === 'changes');
