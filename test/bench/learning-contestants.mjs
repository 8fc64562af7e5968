// Who takes part in the learning benchmarks: our bundles, the three PyTorch peers, and on WebAssembly our loss against the
// textbook's. Each has a name, a block of those it is compared with, and the command of a round.
import { megaflopsPerToken } from './flops.mjs';
import { ourCommand } from './our-commands.mjs';
import { PEER_ROLES, peerCommand } from './peers.mjs';

/** Contestants of all blocks that the options ask for; `peers` may be {missing}. */
export function learningContestants({ sets, peers, options }) {
  const contestants = [];
  for (const set of sets) {
    const megaflops = megaflopsPerToken(set.lengths, set.vocabularySize);
    for (const batch of options.batches) {
      const block = `${set.name} vocabulary (${set.vocabularySize}), batch ${batch}`;
      const add = (name, more) =>
        contestants.push({ name: `${set.name} b${batch} ${name}`, block, megaflops, ...more });
      for (const students of options.students) addOurs(add, { set, batch, students, options });
      if (!peers.missing && set.folder)
        for (const role of Object.keys(PEER_ROLES)) addPeer(add, role, { set, batch, peers, options });
    }
    if (options.wasm) addWasm(contestants, { set, megaflops, options });
  }
  return contestants.filter(({ name }) => options.only.test(name));
}

function addOurs(add, { set, batch, students, options }) {
  const args = ourArguments(set, { ...options, batch, students });
  add(`ours x${students}`, {
    label: students === 1 ? 'semdistill, 1 student' : `semdistill, bundle of ${students}`,
    role: `ours${students}`,
    isOurs: true,
    students,
    against: ['plain', 'tuned', 'gang'],
    commandOf: (round) =>
      ourCommand('sweep-run.mjs', [...args, '--seed', String(options.seed + round)], options.threads),
  });
}

function addPeer(add, role, { set, batch, peers, options }) {
  const { label, students } = PEER_ROLES[role];
  const { steps, warmup, threads } = options;
  add(role, {
    label,
    role,
    students,
    against: [],
    commandOf: (round) =>
      peerCommand(peers, role, { data: set.folder, batch, steps, warmup, threads, seed: options.seed + round }),
  });
}

function addWasm(contestants, { set, megaflops, options }) {
  const batch = 32;
  // A step of the textbook loss takes seconds.
  const sizes = { ...options, batch, students: 1, steps: Math.min(options.steps, 4), warmup: 0 };
  const block = `WebAssembly, ${set.name} vocabulary (${set.vocabularySize}), batch ${batch}`;
  for (const [role, label, more] of [
    ['wasm', 'semdistill, 1 student', []],
    ['textbook', 'textbook loss', ['--textbook']],
  ]) {
    const args = [...ourArguments(set, sizes), '--backend', 'wasm', ...more];
    contestants.push({
      name: `${set.name} b${batch} ${role === 'wasm' ? 'wasm' : 'wasm textbook'}`,
      block,
      label,
      role,
      students: 1,
      megaflops,
      isOurs: true,
      against: role === 'wasm' ? ['textbook'] : [],
      commandOf: (round) =>
        ourCommand('sweep-run.mjs', [...args, '--seed', String(options.seed + round)], options.threads),
    });
  }
}

function ourArguments(set, { batch, students, steps, warmup, threads }) {
  const source = set.folder ? ['--data', set.folder] : ['--generated', String(set.vocabularySize)];
  const numbers = { students, batch, steps: steps + warmup, ...(threads ? { threads } : {}) };
  return [...source, ...Object.entries(numbers).flatMap(([name, value]) => [`--${name}`, String(value)])];
}
