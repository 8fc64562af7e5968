// Writes one object over and over, alternating between two contents, until it is killed. Run from dist:
// node store-writer.mjs <settings as JSON> <key> <size>; prints a line when the first of its writes begins.
import { openStore } from '#storage';

const [settings, key, size] = process.argv.slice(2);
const store = await openStore(
  JSON.parse(settings, (name, value) => (/endpoint$/i.test(name) ? new URL(value) : value)),
);
console.log('writing');
for (let turn = 0; ; turn += 1) {
  await store.put(key, Buffer.alloc(Number(size), turn % 2 === 0 ? 'a' : 'b'));
}
