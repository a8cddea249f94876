// Arguments: exchange, address of the venue, how many orders.
const ccxt = require('ccxt');
const steps = require('./steps.cjs');

const [venue, url, count] = process.argv.slice(2);
void steps.trade(ccxt, venue, url, Number(count));
