/** A request that never throws. */
import { reasonOf } from '../../analysis/doctor/check.ts';

const TIMEOUT_MS = 5000;
const SHOWN_CHARACTERS = 200;

export interface HttpAnswer {
  /** 0 where none came. */
  readonly status: number;
  /** Body or error, in one short line. */
  readonly text: string;
  /** The body, where it is JSON. */
  readonly json: unknown;
}

/** GETs an address; user and password in it go into the header where they belong. */
export async function readAnswerOf(address: string): Promise<HttpAnswer> {
  try {
    const url = new URL(address);
    const { username, password } = url;
    url.username = '';
    url.password = '';
    const user = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    const headers = username === '' ? {} : { authorization: `Basic ${Buffer.from(user).toString('base64')}` };
    const response = await fetch(url, { headers, redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT_MS) });
    const body = await response.text();
    return { status: response.status, text: shortly(`${response.status} ${body}`), json: parsed(body) };
  } catch (error) {
    return { status: 0, text: shortly(reasonOf(error)), json: undefined };
  }
}

const shortly = (text: string): string => text.replaceAll(/\s+/g, ' ').trim().slice(0, SHOWN_CHARACTERS);

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
