// Makes this checkout ready to run: Node modules, our build, TensorFlow's library with its addons, a Redis server and the
// demo corpus. Safe to run again, at the same time twice, and after having been killed; it does only what is missing.
// This file must parse on old Node versions, because it is what tells their users to upgrade.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(
    `semdistill needs Node 20.19 or later, and this is ${process.version}: install a current Node and try again.`,
  );
  process.exit(1);
}
const { setUp } = await import('./setup/set-up.mjs');
process.exitCode = await setUp();
