// Which Redis this machine has: an address in REDIS_URL, or the program of a server that `semdistill up` starts itself.
import { findCommand } from './child.mjs';

export function findRedis(env) {
  if (env.REDIS_URL) return { url: env.REDIS_URL };
  return { server: findCommand('redis-server', env) ?? findCommand('valkey-server', env) };
}
