// Arguments: exchange, address of the venue, how many orders, `changes` for an edit and cancels.
const ccxt = require('ccxt');
const steps = require('./steps.cjs');

const [venue, url, count, changes] = process.argv.slice(2);
void steps.trade(ccxt, venue, url, Number(count), changes === 'changes');
