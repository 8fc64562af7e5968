// `npm run bench -- GROUP [options]`: one entry a group of benchmarks; without a group, learning.
const GROUPS = {
  learning: {
    summary: 'training speed beside PyTorch',
    run: async (args) => (await import('./learning.mjs')).runLearning(args),
  },
  fleet: {
    summary: 'accepting, sharing out and settling trials, beside bare BullMQ',
    run: async (args) => (await import('./fleet.mjs')).runFleet(args),
  },
  storage: {
    summary: 'uploads and downloads beside the plain minio client',
    run: async (args) => (await import('./storage.mjs')).runStorage(args),
  },
};

const [first, ...rest] = process.argv.slice(2);
const isNamed = first !== undefined && !first.startsWith('-');
const group = GROUPS[isNamed ? first : 'learning'];
if (!group || (first === '--help' && rest.length === 0)) {
  if (!group) console.error(`There is no benchmark '${first}'.`);
  console.log('npm run bench -- [GROUP] [options]; every group has its own --help. Without a group: learning.\n');
  for (const [name, { summary }] of Object.entries(GROUPS)) console.log(`  ${name.padEnd(12)}${summary}`);
  if (group) console.log('');
  process.exitCode = group ? 0 : 2;
}
if (group) process.exitCode = await group.run(isNamed ? rest : process.argv.slice(2));
