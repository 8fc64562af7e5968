// What a reader must know before trusting a number, in words.
import type { Texts } from './report.js';
import { type Language, settingLabel } from './texts.js';

const FINDINGS: Record<string, (labels: Texts, snrDb: number) => Texts> = {
  'not-cross-decoded': ({ en }) => ({
    en: `Transmitters and receivers could not be joined with each other: ${en}`,
    zh: `未能完成发射端与接收端的交叉解码：${en}`,
  }),
  'partly-pruned': ({ en, zh }) => ({
    en: `Some seeds of these settings were pruned and are not in the means; where they were stopped early for being behind, the means look better than the settings are, most of all beside a baseline or T = 1, which are never stopped: ${en}.`,
    zh: `这些设置的部分种子被剪除，不计入均值；若因落后而提前停止，则均值偏好，尤其相对于从不停止的基线或 T = 1：${zh}。`,
  }),
  'one-seed': ({ en, zh }) => ({
    en: `A single seed only, so no interval and no test: ${en}.`,
    zh: `只有一个种子，因此没有区间和检验：${zh}。`,
  }),
  'gap-at-floor': ({ en, zh }) => ({
    en: `The gap is at the floor (what other noise alone does to the teacher), so differences between these mean nothing: ${en}.`,
    zh: `差距已达下限（仅更换噪声即可产生），这些设置之间的差异没有意义：${zh}。`,
  }),
  'not-better-than-no-teacher': ({ en, zh }) => ({
    en: `Not significantly nearer to the teacher than a student trained without one: ${en}.`,
    zh: `与教师的接近程度并不显著优于无教师训练的学生：${zh}。`,
  }),
  'hybrid-broken': ({ en, zh }, snrDb) => ({
    en: `The hybrid is a broken link (BLEU-1 at ${snrDb} dB more than 0.2 below the teacher), as happens without a frozen kept side: ${en}.`,
    zh: `混合模型链路失效（${snrDb} dB 时 BLEU-1 比教师低 0.2 以上），未冻结保留侧时会如此：${zh}。`,
  }),
  'bleu-falls-with-snr': ({ en, zh }) => ({
    en: `BLEU-1 falls by more than 0.02 somewhere as the SNR rises, which a sound link does not do: ${en}.`,
    zh: `SNR 升高时 BLEU-1 有超过 0.02 的下降，正常链路不会如此：${zh}。`,
  }),
  'loss-rose-at-end': ({ en, zh }) => ({
    en: `The last validation loss is more than 5 % above the best one (over-fitting); use best_student_model or fewer epochs: ${en}.`,
    zh: `最后的验证损失比最佳值高 5 % 以上（过拟合）；请用 best_student_model 或减少轮数：${zh}。`,
  }),
};

/** A finding in words. Throws RangeError for an unknown code. */
export function findingText(code: string, labels: string[], headlineSnrDb: number): Texts {
  const text = Object.hasOwn(FINDINGS, code) ? FINDINGS[code] : undefined;
  if (!text) throw new RangeError(`no text for finding ${code}`);
  const list = (language: Language) => labels.map((label) => settingLabel(label, language)).join(', ');
  return text({ en: list('en'), zh: list('zh') }, headlineSnrDb);
}
