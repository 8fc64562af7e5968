// The words of `semdistill analyze` in Chinese.
import type { analysisEnglish } from './texts-analysis-english.js';

export const analysisChinese: typeof analysisEnglish = {
  analysisModels: (p) => `A：${p.a}，B：${p.b}；语料 ${p.corpus} 的 ${p.sentences} 个句子`,
  analysisOver: (channel) => `信道 ${channel}`,
  analysisWorst: (snrDb) => `${snrDb} dB 时 B 损失最大的句子（*错误的词*，[缺失的词]）：`,
  analysisNoWorst: '没有任何句子在 B 上的 BLEU-1 低于 A',
  analysisSent: '发送',
  analysisReady: (id, url) => `分析 ${id}；报告：${url}`,
  analysisAccepted: (id, state) => `分析 ${id}：${state}`,
  analysisCancelled: (id) => `分析 ${id} 已取消；再次请求会重新开始`,
  analysisWritten: (file) => `已写入：${file}`,
  outputFormat: (choices, got) => `必须以 ${choices} 结尾，而不是 ${JSON.stringify(got)}`,
  outputNeedsEnd: '需要结果：请去掉 --no-wait',
  helpAnalyze: '比较任意两个模型：全部指标、差值及区间、最差句子并排显示',
  helpAnalyzeModel: (which) => `${which}：教师名称或标识、试验或混合模型的标识，或 试验/文件`,
  helpAnalyzeCorpus: '发送其测试句子的语料，名称或标识（默认：A 的语料）',
  helpAnalyzeOutput: '把报告写到这里；按结尾为 .html、.json、.csv（每句一行）或 .md',
  helpAnalyzeWorst: '显示多少个最差的句子（默认：5）',
  helpAnalyzeList: '列出分析',
  noAnalyses: (command) => `还没有分析；“${command} analyze A B”生成一个`,
};
