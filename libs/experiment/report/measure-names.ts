// What is measured, by name: for columns and captions in full, for axes in short.
import type { CurveName, Texts } from './report.js';

/** Short names of what is measured, for axes, columns and captions. */
export const MEASURES: Record<CurveName | 'validationLoss' | 'finalLoss', Texts> = {
  bleu1: { en: 'BLEU-1', zh: 'BLEU-1' },
  bleu2: { en: 'BLEU-2', zh: 'BLEU-2' },
  bleu3: { en: 'BLEU-3', zh: 'BLEU-3' },
  bleu4: { en: 'BLEU-4', zh: 'BLEU-4' },
  cumulativeBleu2: { en: 'cumulative BLEU-2', zh: '累积 BLEU-2' },
  cumulativeBleu3: { en: 'cumulative BLEU-3', zh: '累积 BLEU-3' },
  cumulativeBleu4: { en: 'cumulative BLEU-4', zh: '累积 BLEU-4' },
  corpusBleu: { en: 'corpus BLEU', zh: '语料级 BLEU' },
  exactSentences: { en: 'sentences received exactly', zh: '完全正确的句子比例' },
  wordErrorRate: { en: 'word error rate', zh: '词错误率' },
  crossEntropy: { en: 'held-out loss (nats per token)', zh: '测试损失（nat/词）' },
  tokenAccuracy: { en: 'token accuracy', zh: '词准确率' },
  calibrationError: { en: 'calibration error (ECE)', zh: '校准误差（ECE）' },
  hybridBleu1: { en: 'hybrid BLEU-1', zh: '混合模型 BLEU-1' },
  hybridBleu2: { en: 'hybrid BLEU-2', zh: '混合模型 BLEU-2' },
  hybridBleu3: { en: 'hybrid BLEU-3', zh: '混合模型 BLEU-3' },
  hybridBleu4: { en: 'hybrid BLEU-4', zh: '混合模型 BLEU-4' },
  gapBleu1: { en: 'BLEU-1 gap, teacher - student', zh: 'BLEU-1 差距（教师 - 学生）' },
  gapBleu2: { en: 'BLEU-2 gap, teacher - student', zh: 'BLEU-2 差距（教师 - 学生）' },
  gapBleu3: { en: 'BLEU-3 gap, teacher - student', zh: 'BLEU-3 差距（教师 - 学生）' },
  gapBleu4: { en: 'BLEU-4 gap, teacher - student', zh: 'BLEU-4 差距（教师 - 学生）' },
  jsd: { en: 'JSD to the teacher (nats per token)', zh: '与教师的 JSD（nat/词）' },
  kl: { en: 'KL(teacher || student) (nats per token)', zh: 'KL(教师 || 学生)（nat/词）' },
  reverseKl: { en: 'KL(student || teacher) (nats per token)', zh: 'KL(学生 || 教师)（nat/词）' },
  top1Agreement: { en: 'top-1 agreement with the teacher', zh: '与教师的 top-1 一致率' },
  top5Overlap: { en: 'top-5 overlap with the teacher', zh: '与教师的 top-5 重合率' },
  jsdShare: { en: 'JSD / ln 2 to the teacher', zh: '与教师的 JSD / ln 2' },
  agreementTeacherRight: { en: 'agreement where the teacher is right', zh: '教师正确处的一致率' },
  agreementTeacherWrong: { en: 'agreement where the teacher is wrong', zh: '教师错误处的一致率' },
  entropyGap: { en: 'entropy, teacher - student (nats)', zh: '熵差（教师 - 学生，nat）' },
  ckaEncOut: { en: 'CKA after the semantic encoder', zh: '语义编码器输出的 CKA' },
  ckaChEncOut: { en: 'CKA after the channel encoder', zh: '信道编码器输出的 CKA' },
  ckaMemory: { en: 'CKA after the channel decoder', zh: '信道解码器输出的 CKA' },
  ckaDecOut: { en: 'CKA after the semantic decoder', zh: '语义解码器输出的 CKA' },
  validationLoss: { en: 'validation loss (nats per token)', zh: '验证损失（nat/词）' },
  finalLoss: { en: 'last validation loss (nats per token)', zh: '最后一轮验证损失（nat/词）' },
};

/** What axes of charts say: the measure without its explanation. */
export const SHORT_MEASURES: Record<CurveName | 'validationLoss' | 'finalLoss', Texts> = {
  ...MEASURES,
  gapBleu1: { en: 'BLEU-1 gap', zh: 'BLEU-1 差距' },
  jsd: { en: 'JSD (nats per token)', zh: 'JSD（nat/词）' },
  kl: { en: 'KL (nats per token)', zh: 'KL（nat/词）' },
  reverseKl: { en: 'reverse KL (nats per token)', zh: '反向 KL（nat/词）' },
  top1Agreement: { en: 'top-1 agreement', zh: 'top-1 一致率' },
  top5Overlap: { en: 'top-5 overlap', zh: 'top-5 重合率' },
};
