// A lock between processes of one machine that a killed process cannot leave behind: a listening local socket. The kernel
// gives the name free when the holder, and every program it handed the socket to, is gone. Processes that do not see each
// other's sockets (containers sharing a folder) are not kept apart; whatever they share must be renamed into place whole.
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Waits until `name` is held by this process; `onWait` is called once if another holds it. */
export async function acquireLock(name, onWait) {
  const address = socketAddress(name);
  for (let waited = false; ; ) {
    const lock = await tryListen(address);
    if (lock) return lock;
    const held = await holderGone(address, () => {
      if (!waited) onWait();
      waited = true;
    });
    if (!held && !address.startsWith('\0')) rmSync(address, { force: true });
  }
}

function socketAddress(name) {
  const digest = createHash('sha256')
    .update(`${process.getuid?.() ?? ''} ${name}`)
    .digest('hex')
    .slice(0, 32);
  if (process.platform === 'linux') return `\0semdistill-${digest}`;
  if (process.platform === 'win32') return `\\\\.\\pipe\\semdistill-${digest}`;
  return join(tmpdir(), `semdistill-${digest}.lock`);
}

function tryListen(address) {
  return new Promise((resolve, reject) => {
    const waiting = new Set();
    const server = createServer((socket) => {
      waiting.add(socket);
      socket.unref();
      socket.on('error', () => {}).on('close', () => waiting.delete(socket));
    });
    server.once('error', (error) => (error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error)));
    server.listen(address, () => {
      server.unref();
      resolve({
        fd: server._handle?.fd,
        release() {
          server.close();
          for (const socket of waiting) socket.destroy();
        },
      });
    });
  });
}

/** Resolves when the holder has let go: true if there was one, false if nobody answered. */
function holderGone(address, onWait) {
  return new Promise((resolve) => {
    let connected = false;
    const socket = connect(address, () => {
      connected = true;
      onWait();
    });
    socket.on('error', () => {}).on('close', () => resolve(connected));
    socket.resume();
  });
}
