// Which Redis this machine has: an address in REDIS_URL, or the program of a server that `semdistill up` starts itself.
import { findCommand } from './child.mjs';

/** Where servers lie that are not on every user's PATH. */
const more = ['/usr/sbin', '/usr/local/bin', '/usr/local/sbin'];

export function findRedis(env) {
  if (env.REDIS_URL) return { url: env.REDIS_URL };
  return { server: findCommand('redis-server', env, more) ?? findCommand('valkey-server', env, more) };
}
