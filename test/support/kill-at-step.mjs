// Loaded before a program (node --import): the process kills itself with SIGKILL at the n-th step by which it changes files,
// just before the step or just after it. KILL_AT is "<n> before" or "<n> after".
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

const [step, when] = process.env.KILL_AT.split(' ');
let isCounting = false;
let count = 0;

function counted(owner, name) {
  const original = owner[name];
  owner[name] = async function (...args) {
    const isTheOne = isCounting && ++count === Number(step);
    if (isTheOne && when === 'before') process.kill(process.pid, 'SIGKILL');
    const result = await original.apply(this, args);
    if (isTheOne) process.kill(process.pid, 'SIGKILL');
    return result;
  };
}

const file = await fs.open(process.execPath);
const prototype = Object.getPrototypeOf(file);
await file.close();
for (const name of ['rename', 'link', 'unlink', 'rm', 'rmdir', 'mkdir']) counted(fs, name);
for (const name of ['writeFile', 'sync']) counted(prototype, name);
const creating = { open: fs.open };
const { open } = creating;
counted(creating, 'open');
fs.open = (path, flags, ...rest) => (flags === 'wx' ? creating : { open }).open(path, flags, ...rest);
syncBuiltinESMExports();

/** Called by the program when it has opened the store: steps count from here. */
globalThis.countSteps = () => {
  isCounting = true;
};
