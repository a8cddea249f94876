// Arguments: address of the venue, address of its socket.
const ccxt = require('ccxt');
const steps = require('./steps.cjs');

const [url, socketUrl] = process.argv.slice(2);
void steps.watch(ccxt, url, socketUrl);
