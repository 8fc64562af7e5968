// What an analysis says in words, by fixed rules from its numbers.
import { nearestIndex } from '../cross-decoding.js';
import { formatNumber } from '../report/numbers.js';
import type { Language } from '../report/texts.js';
import {
  type AnalysisFinding,
  type AnalysisOfChannel,
  type AnalysisReport,
  LESS_IS_BETTER,
  lossOf,
  type ModelDifference,
} from './analysis.js';
import { measureName } from './analysis-texts.js';

/** A pair that scores less of its own models' worse BLEU-1 does not understand each other. */
const BROKEN_SHARE = 0.5;

export function findingsOf(report: Omit<AnalysisReport, 'findings'>): AnalysisFinding[] {
  const isManyChannels = report.channels.length > 1;
  return report.channels.flatMap((channel) =>
    findingsOver(channel, report.conditions.headlineSnrDb).map(({ code, text }) => ({
      code,
      text: isManyChannels ? { en: `${channel.channel}: ${text.en}`, zh: `${channel.channel}：${text.zh}` } : text,
    })),
  );
}

function findingsOver(channel: AnalysisOfChannel, snrDb: number): AnalysisFinding[] {
  const at = nearestIndex(channel.divergence.snrDb, snrDb);
  const isSame = channel.divergence.jsd.every((value) => value === 0) && channel.differing === 0;
  if (isSame) {
    const text = {
      en: 'The two models say the same: their output distributions are equal on every sentence and at every SNR.',
      zh: '两个模型的输出相同：在每个句子、每个 SNR 上输出分布都相等。',
    };
    return [{ code: 'same-output', text }];
  }
  return [
    differencesFinding(channel.differences),
    sentencesFinding(channel, snrDb),
    noiseFinding(channel, at, snrDb),
    ...crossedFindings(channel, at, snrDb),
  ];
}

function differencesFinding(differences: readonly ModelDifference[]): AnalysisFinding {
  const found = differences.filter(({ isSignificant }) => isSignificant);
  const isWorse = ({ measure, difference }: ModelDifference) => difference > 0 === LESS_IS_BETTER.includes(measure);
  const named = (some: ModelDifference[], language: Language) =>
    some
      .map(({ measure, difference }) => {
        const signed = `${difference > 0 ? '+' : '−'}${formatNumber(Math.abs(difference))}`;
        return language === 'zh'
          ? `${measureName(measure, 'zh')}（${signed}）`
          : `${measureName(measure, 'en')} (${signed})`;
      })
      .join(language === 'zh' ? '、' : ', ');
  const [worse, better] = [found.filter(isWorse), found.filter((one) => !isWorse(one))];
  if (found.length === 0) {
    const text = {
      en: 'No significant difference in any measure: on other sentences it might go either way.',
      zh: '没有任何指标存在显著差异：换一批句子，结果可能相反。',
    };
    return { code: 'no-difference', text };
  }
  const parts = (language: Language) => [
    ...(worse.length > 0
      ? [`${language === 'zh' ? 'B 劣于 A：' : 'B is worse than A in '}${named(worse, language)}`]
      : []),
    ...(better.length > 0
      ? [`${language === 'zh' ? 'B 优于 A：' : 'B is better than A in '}${named(better, language)}`]
      : []),
  ];
  const text = { en: `${parts('en').join('; ')}.`, zh: `${parts('zh').join('；')}。` };
  return { code: 'differences', text };
}

function sentencesFinding({ sentences, differing }: AnalysisOfChannel, snrDb: number): AnalysisFinding {
  const lost = sentences.filter((sentence) => lossOf(sentence) > 0).length;
  const won = sentences.filter((sentence) => lossOf(sentence) < 0).length;
  const all = sentences.length;
  return {
    code: 'sentences',
    text: {
      en: `At ${snrDb} dB ${differing} of ${all} sentences arrive otherwise; in BLEU-1 B loses on ${lost} and gains on ${won}.`,
      zh: `${snrDb} dB 时，${all} 个句子中有 ${differing} 个的接收结果不同；按 BLEU-1，B 在 ${lost} 个上变差，在 ${won} 个上变好。`,
    },
  };
}

function noiseFinding({ divergence, floor }: AnalysisOfChannel, at: number, snrDb: number): AnalysisFinding {
  const [own, noise] = [(divergence.jsd[at] as number) / Math.LN2, (floor.jsd[at] as number) / Math.LN2];
  const [apart, moved] = [formatNumber(own), formatNumber(noise)];
  return {
    code: 'distance',
    text: {
      en: `On common noise at ${snrDb} dB the two are ${apart} apart (JSD / ln 2, from 0 to 1); other noise alone takes A ${moved} away from itself.`,
      zh: `噪声相同、${snrDb} dB 时两者相距 ${apart}（JSD / ln 2，0 到 1）；仅换噪声时 A 与自身相距 ${moved}。`,
    },
  };
}

function crossedFindings(
  { reference, other, crossed }: AnalysisOfChannel,
  at: number,
  snrDb: number,
): AnalysisFinding[] {
  const own = Math.min(reference.decoded.bleu1[at] as number, other.decoded.bleu1[at] as number);
  const pairs = [
    ['A', 'B', crossed.referenceSends.bleu1[at] as number],
    ['B', 'A', crossed.otherSends.bleu1[at] as number],
  ] as const;
  return pairs.map(([sends, hears, score]) => {
    const isBroken = score < BROKEN_SHARE * own;
    const shown = formatNumber(score);
    const verdict = isBroken
      ? { en: 'they do not understand each other', zh: '两端互不理解' }
      : { en: 'they understand each other', zh: '两端能够互通' };
    return {
      code: isBroken ? 'broken-pair' : 'pair',
      text: {
        en: `${sends}’s transmitter with ${hears}’s receiver: BLEU-1 ${shown} at ${snrDb} dB; ${verdict.en}.`,
        zh: `${sends} 的发射端与 ${hears} 的接收端：${snrDb} dB 时 BLEU-1 为 ${shown}；${verdict.zh}。`,
      },
    };
  });
}
