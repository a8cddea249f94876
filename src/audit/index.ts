/** The public API for auditors, apart from the running service's: verify, prove, check. Named exports, no logic. */
export { type AnchorTarget, parseAnchor } from './anchor/anchor-target.ts';
export { readAnchors } from './anchor/read-anchors.ts';
export { parseVerifierKeys, type VerifierKey } from './proof/note.ts';
export { checkConsistencyProof, checkRecordProof } from './proof/proof.ts';
export { proveConsistency, proveRecord } from './proof/prove.ts';
export { formatVerifyReport } from './verify/report.ts';
export { toReportJson, verifyTrail } from './verify/verify.ts';
