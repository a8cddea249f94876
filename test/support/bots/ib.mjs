// Arguments: port of the socket, how many orders.
import { EventName, IBApi, OrderAction, OrderType, SecType } from '@stoqey/ib';
import steps from './ib-steps.cjs';

const [port, count] = process.argv.slice(2).map(Number);
steps.trade({ EventName, IBApi, OrderAction, OrderType, SecType }, port, count);
