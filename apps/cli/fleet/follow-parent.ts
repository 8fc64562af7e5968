// Loaded before each service of `semdistill up` (node --import): when the parent is gone, however it died, the IPC channel
// closes, and the service stops in order; if it has not within 10 s, its whole process group is killed.

const GRACE_MS = 10_000;

if (process.channel) {
  process.on('disconnect', () => {
    process.on('exit', killGroup);
    setTimeout(killGroup, GRACE_MS).unref();
    process.kill(process.pid, 'SIGTERM');
  });
  // The listener must not keep a process alive that has nothing else to do.
  process.channel.unref();
}

function killGroup(): void {
  // `up` starts each service as the leader of its own group, so 0 means it and its descendants and nobody else.
  process.kill(0, 'SIGKILL');
}
