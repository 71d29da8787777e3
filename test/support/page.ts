/**
 * The page of `npm run verify` over the real tree, with outcomes of every status and with hostile
 * text.
 */
import { gather } from '../../scripts/page/evidence.ts';
import { pageText } from '../../scripts/page/page.ts';
import { type Outcome, type Status, settle } from '../../scripts/verify.ts';
import { claims, pageOf } from '../../spec/claims.ts';

/** Text that a log line could bring into the evidence. */
export const hostileText = '<script>alert(1)</script> & "quoted" \u0007 `code`';

export function sampleOutcomes(): Outcome[] {
  const tried: Status[] = ['HELD', 'HELD', 'HELD', 'NOT MET', 'SKIPPED', 'FAILED', 'NOT RUN'];
  return settle(claims, []).map((outcome, index): Outcome => {
    if (outcome.status !== 'FAILED') return outcome;
    const twinFailed = [{ why: 'a twin of the sample', by: hostileText }];
    const status = tried[index % tried.length]!;
    return {
      ...outcome,
      status,
      evidence: `${index} of a sample: ${hostileText}`,
      place: 'spec/memory.spec.ts:21',
      twinFailed,
    };
  });
}

export function samplePage(): string {
  const facts = { node: 'v24', platform: 'a sample' };
  return pageText({ date: '2026-01-01 00:00 UTC', seconds: 1, facts, outcomes: sampleOutcomes(), pageOf }, gather());
}
