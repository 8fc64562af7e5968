// What comes from the operating system: a compiler, pip and a Redis server. Installed here only as root on Debian and its
// kin; everyone else is told the line to type.
import { readFileSync } from 'node:fs';
import { hasCommand, lastError, run, SetupFailure } from './child.mjs';

const managers = [
  { command: 'apt-get', line: 'apt-get install -y', compiler: 'g++', pip: 'python3-pip', redis: 'redis-server' },
  { command: 'dnf', line: 'dnf install -y', compiler: 'gcc-c++', pip: 'python3-pip', redis: 'valkey' },
  { command: 'pacman', line: 'pacman -S --needed', compiler: 'gcc', pip: 'python-pip', redis: 'valkey' },
  { command: 'zypper', line: 'zypper install -y', compiler: 'gcc-c++', pip: 'python3-pip', redis: 'redis' },
  { command: 'apk', line: 'apk add', compiler: 'g++', pip: 'py3-pip', redis: 'redis' },
  { command: 'brew', line: 'brew install', compiler: 'gcc', pip: 'python', redis: 'redis' },
];

/** The one line that installs the given things (of compiler, pip, redis) on this system. */
export function lineToType(things, env = process.env) {
  const manager = managers.find(({ command }) => hasCommand(command, env)) ?? managers[0];
  const isRoot = process.getuid?.() === 0 || manager.command === 'brew';
  return `${isRoot ? '' : 'sudo '}${manager.line} ${things.map((thing) => manager[thing]).join(' ')}`;
}

/** Installs what is missing where this may be done without asking; does nothing elsewhere. */
export async function installSystemPackages(things, { cache, env, progress }) {
  if (process.getuid?.() !== 0 || !isDebian() || !hasCommand('apt-get', env)) return;
  const packages = things.map((thing) => managers[0][thing]);
  const log = cache.log('apt-get');
  await progress.step(`Installing ${packages.join(', ')} with apt-get`, async () => {
    const apt = (...args) =>
      run('apt-get', ['-y', '-q', ...args], { log, env: { ...env, DEBIAN_FRONTEND: 'noninteractive' } });
    const install = () => apt('install', '--no-install-recommends', ...packages);
    if ((await install()).ok) return;
    await apt('update');
    const { ok, output } = await install();
    if (ok) return;
    throw new SetupFailure(
      `apt-get could not install ${packages.join(', ')} (${lastError(output)}): install them yourself and try again; its output is in ${log}.`,
    );
  });
}

function isDebian() {
  try {
    return /^(ID|ID_LIKE)=.*\b(debian|ubuntu)\b/m.test(readFileSync('/etc/os-release', 'utf8'));
  } catch {
    return false;
  }
}
