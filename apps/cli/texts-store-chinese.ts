// The words of the commands that work on the object store, in Chinese.
import type { storeEnglish } from './texts-store-english.js';

export const storeChinese: typeof storeEnglish = {
  noStoreNamed: '没有指定对象存储；用 --store（文件夹，或配合 S3_* 变量的 s3）或 SEMDISTILL_STORE 指定',
  noSuchStore: (folder) => `没有存储文件夹 ${folder}；请检查名称`,
  noSuchSweep: (id) => `此存储中没有扫描 ${id}`,
  columnReason: '原因',

  gcReason: (reason) =>
    ({
      checkpoint: '中间检查点',
      orphan: '未被采用的重复尝试',
      bundle: '已结束扫描的训练检查点',
      upload: '已使用过的上传文件',
      unfinished: '未完成的写入',
    })[reason],
  gcWouldDelete: (count, size) =>
    count === 0 ? '没有可删除的对象' : `可删除 ${count} 个对象，${size}；加 --delete 才会删除`,
  gcDeleted: (count, size) => `已删除 ${count} 个对象，${size}`,
  kept: (id) => `扫描 ${id} 已保留：gc 不会动它引用的任何内容`,
  notKept: (id) => `扫描 ${id} 不再保留`,

  sameStore: (name) => `两个名称指向同一个存储 ${name}`,
  copying: (copied, present, size, rate) => `已复制 ${copied} 个对象（${size}，每秒 ${rate}），${present} 个已存在`,
  copied: (copied, present, size, to) =>
    `已复制 ${copied} 个对象，${size}，SHA-256 已核对，${present} 个原已存在：${to}`,
  notAllCopied: (count) => `${count} 个对象没有复制；其余都已在目标存储中`,

  verifying: (done, all) => `已读回 ${done} / ${all} 个文件`,
  verdictOn: (verdict) => ({ intact: '完好', damaged: '损坏', missing: '缺失', removed: '已按保留策略删除' })[verdict],
  allIntact: (count, size) => `${count} 个文件，${size}：SHA-256 全部与记录一致`,
  notIntact: (count, all) => `${all} 个文件中有 ${count} 个与记录不符；请从备份恢复，或重新训练该试验`,
  noModelToMeasure: '没有已记录分数的训练模型',
  notOneTrial: (trial, found) =>
    found === 0
      ? `${trial} 不是其中的试验；请用试验标识或其开头指定`
      : `有 ${found} 个试验以 ${trial} 开头；请给出更长的标识`,
  notMeasured: (model) => `工作进程没有给出 ${model} 的分数；原因见其日志`,
  shownNumerics: (library, threads, device) => `${library}，${threads} 线程，${device}`,
  otherNumerics: '较早版本的 semdistill',
  scoresHold: ({ model, tolerance, points, now, before, largest }) =>
    tolerance === 0
      ? `${model}：重新测量，${points} 个信噪比下的 BLEU-1 至 4 与记录完全一致（${now}）`
      : `${model}：重新测量，${points} 个信噪比下的 BLEU-1 至 4 与记录相差不超过 ${tolerance}，最大相差 ` +
        `${Math.abs(largest.measured - largest.recorded).toFixed(4)}（现在 ${now}；记录时 ${before}）`,
  scoresDiffer: ({ model, tolerance, now, before, largest }) =>
    `${model} 的分数与记录不符：${largest.snrDb} dB 时 BLEU-${largest.order} 为 ${largest.measured.toFixed(4)}，` +
    `记录为 ${largest.recorded.toFixed(4)}；` +
    (tolerance === 0
      ? `数值环境相同（${now}），两者应完全相等`
      : `超过 ${tolerance} 的差别不能用数值环境不同来解释（现在 ${now}；记录时 ${before}）`),

  helpStore: '对象存储：文件夹、s3（S3_* 变量）或 s3:NAME（NAME_S3_* 变量）（默认：SEMDISTILL_STORE）',
  helpGc: '显示保留策略允许删除的内容：中间检查点和工作留下的残余',
  helpGcDays: '试验结束多少天后可删除中间检查点',
  helpGcDelete: '真正删除；不加则什么也不改',
  helpKeepSweep: '标记一个扫描，使 gc 不动它',
  helpKeepUndo: '取消标记',
  helpCopyStore: '把一个对象存储的全部内容复制到另一个，核对 SHA-256，可续传',
  helpCopyFrom: '文件夹、s3（S3_* 变量）或 s3:NAME（NAME_S3_* 变量）',
  helpCopyOverwrite: '替换目标中已存在但不同的对象',
  helpVerify: '读回扫描、试验或教师的全部文件并核对 SHA-256',
  helpVerifyScores: '并让工作进程重新测量一个模型（TRIAL、TRIAL/hybrid_model，默认第一个）并与记录比较',
  helpVerifyId: '扫描或试验的标识，教师的标识或名称',
};
