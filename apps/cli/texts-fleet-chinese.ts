// The words of the commands that steer trials, sweeps and workers, in Chinese.
import type { fleetEnglish } from './texts-fleet-english.js';

const KINDS = { sweep: '扫描', trial: '试验', analysis: '分析' };

export const fleetChinese: typeof fleetEnglish = {
  controlled: (action, kind, id, state) => {
    const done = { cancel: '已取消', pause: '已暂停', resume: '已恢复', retry: '将重新训练' }[action];
    return `${KINDS[kind]} ${id} ${done}（当前：${state}）`;
  },
  neitherToControl: (id) => `没有标识为 ${id} 的扫描、试验或分析`,
  extended: (facts) =>
    `扫描 ${facts.id} 现为第 ${facts.version} 版：${facts.trials} 个试验，其中 ${facts.reused} 个以前已完成`,
  notExtended: (id) => `扫描 ${id} 已包含这些内容；没有改动`,
  sweepIsPaused: (id, command) => `扫描 ${id} 已暂停；“${command} resume ${id}”使其继续`,
  draining: (id) => `工作进程 ${id} 将交还任务并退出`,
  workerDrained: (name) => `${name} 已按要求退出，不再启动`,

  workerEnded: (how) => `工作进程以 ${how} 退出`,
  columnPool: '池',
  columnLabels: '标签',
  columnDevice: '设备',
  columnMemory: '内存',
  columnHeartbeat: '最近心跳',
  waitsFor: (sentence) => `等待：${sentence}`,

  helpWorker: '在此终端运行一个工作进程（设置取自环境变量）',
  helpWorkerPool: '只接受分配给此池的任务（默认：SEMDISTILL_WORKER_POOL）',
  helpWorkerLabels: '扫描可以要求的标签（默认：SEMDISTILL_WORKER_LABELS）',
  helpWorkerName: '列表中的名称（默认：SEMDISTILL_WORKER_NAME，否则为主机名）',

  mended: '已修复：',
  wouldMend: '发现：',
  notMended: '未修复：',
  repairs: (found, isDryRun) => (found === 0 ? '记录与队列一致' : `发现 ${found} 处${isDryRun ? '；没有改动' : ''}`),

  helpRepair: '修复记录与队列不一致之处（汇总进程也会自行修复）',
  helpRepairDryRun: '只显示',
  helpCancel: '取消扫描或试验',
  helpPause: '暂停扫描或试验；运行中的先写检查点再停',
  helpResume: '让暂停的扫描或试验从检查点继续',
  helpRetry: '重新训练失败或已取消的试验（一个，或扫描中的全部）',
  helpExtend: '为扫描增加种子（--seeds 2 即再加两个）或取值（--temperature 12,16）',
  helpControlId: '扫描或试验的标识',
  helpWorkersCommand: '工作进程：设备与当前任务',
  helpWorkersList: '列出工作进程',
  helpDrain: '让工作进程交还任务并退出',
  helpWorkerId: '工作进程的标识',
};
