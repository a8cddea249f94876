/** A thread that answers one question. */
import { parentPort, workerData } from 'node:worker_threads';
import { type ErrorDetails, isRiskTrailError } from '../../core/errors.ts';
import { answerInThread, type ThreadQuestion } from './questions.ts';

/** What comes of a question. */
export type ThreadAnswer =
  | { readonly text: string }
  | { readonly refused: { readonly code: string; readonly details: ErrorDetails } }
  | { readonly defect: { readonly message: string; readonly stack: string | undefined } };

async function answer(question: ThreadQuestion): Promise<ThreadAnswer> {
  try {
    return { text: await answerInThread(question) };
  } catch (error) {
    if (isRiskTrailError(error)) return { refused: { code: error.code, details: error.details } };
    const { message, stack } = error as Error;
    return { defect: { message, stack } };
  }
}

const port = parentPort;
if (port !== null) void answer(workerData as ThreadQuestion).then((told) => port.postMessage(told));
