// Memory of bytes that have passed through, freed at once. The garbage collector looks at such memory only when 32 MiB of
// it have piled up, which would be a third of what a process with a large download takes.

const { port1: closedPort } = new MessageChannel();
closedPort.close();

/** Frees the memory of buffers that nobody reads any more; they have no bytes afterwards. */
export function giveBack(buffers: Buffer[]): void {
  const whole = buffers.flatMap(({ buffer, byteLength }) =>
    // Smaller ones lie in memory that they share.
    byteLength > Buffer.poolSize && buffer.byteLength === byteLength ? [buffer as ArrayBuffer] : [],
  );
  // A port takes what is transferred to it; a closed one drops it.
  if (whole.length > 0) closedPort.postMessage(undefined, whole);
}
