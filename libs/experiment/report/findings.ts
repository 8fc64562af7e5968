// What a reader must know before trusting a number: gaps at the noise floor, students no better than without a teacher,
// broken hybrids, BLEU that falls as the channel improves, losses that rose at the end.

import type { CrossDecoding } from '../records.js';
import { findingText } from './finding-texts.js';
import type { Comparison, Finding, Report, ReportSetting, ReportTrial } from './report.js';

export interface FindingContext {
  settings: readonly ReportSetting[];
  trials: readonly ReportTrial[];
  comparisons: readonly Comparison[];
  anchors: Report['anchors'];
  headlineSnrDb: number;
  snrDb: readonly number[];
  joined?: CrossDecoding | { failure: string } | undefined;
  /** By setting: seeds of it were pruned. */
  isPartlyPruned?: readonly (boolean | undefined)[];
}

type Rule = (context: FindingContext, index: number, setting: ReportSetting) => boolean;

/** Findings in a fixed order, each with the settings it holds for. */
export function findingsOf(context: FindingContext): Finding[] {
  const { joined } = context;
  const failed: Finding[] =
    joined && 'failure' in joined
      ? [{ code: 'not-cross-decoded', settings: [], text: findingText('not-cross-decoded', [joined.failure], 0) }]
      : [];
  return [...failed, ...ofSettings(context)];
}

function ofSettings(context: FindingContext): Finding[] {
  return Object.entries(RULES).flatMap(([code, rule]) => {
    const concerned = context.settings.flatMap((setting, index) => (rule(context, index, setting) ? [index] : []));
    if (concerned.length === 0) return [];
    const labels = concerned.map((index) => context.settings[index]?.label ?? '');
    return [{ code, settings: concerned, text: findingText(code, labels, context.headlineSnrDb) }];
  });
}

const RULES: Record<string, Rule> = {
  'partly-pruned': ({ isPartlyPruned }, index) => isPartlyPruned?.[index] === true,
  'one-seed': (_, __, setting) => setting.seeds.length < 2,
  'gap-at-floor': ({ anchors }, _, setting) => {
    const floor = anchors?.floor.jsd ?? [];
    const gap = setting.curves.jsd?.mean ?? [];
    return floor.length > 0 && gap.every((value, index) => value <= (floor[index] ?? 0) * 1.1);
  },
  'not-better-than-no-teacher': ({ comparisons }, index) => {
    const against = comparisons.find(
      ({ family, measure, a }) => family === 'baseline' && measure === 'jsd' && a === index,
    );
    return against !== undefined && !(against.isSignificant && against.difference < 0);
  },
  'hybrid-broken': ({ anchors, snrDb, headlineSnrDb }, _, setting) => {
    const teacher = anchors?.teacher.bleu1?.[snrDb.indexOf(headlineSnrDb)];
    const hybrid = setting.atHeadline.hybridBleu1?.mean;
    return teacher !== undefined && hybrid !== undefined && hybrid < teacher - 0.2;
  },
  'bleu-falls-with-snr': (_, __, setting) => {
    const curve = setting.curves.bleu1?.mean ?? [];
    return curve.some((value, index) => index > 0 && value < (curve[index - 1] ?? 0) - 0.02);
  },
  'loss-rose-at-end': (_, __, setting) => setting.finalLoss.mean > setting.validationLoss.mean * 1.05,
};
