/** The verifier's word on a directory, as tests compare it. */
import { type VerifyOptions, verifyTrail } from '../../src/audit/verify/verify.ts';

/** Exit status, and the kind of every finding. */
export async function verifyDirectory(
  directory: string,
  options: Partial<VerifyOptions> = {},
): Promise<{ exitCode: number; findings: string[] }> {
  const report = await verifyTrail({ paths: [directory], ...options });
  return {
    exitCode: report.exitStatus,
    findings: report.streams.flatMap((stream) => stream.findings.map((finding) => finding.kind)),
  };
}
