// Does one thing to a store and ends. Run from dist:
// node store-step.mjs <settings as JSON> put|putIfAbsent|delete|roundTrip <key> [file]
// roundTrip puts the file, gets it into <file>.back, and prints the largest memory the process ever had, in MB.
import { readFileSync } from 'node:fs';
import { openStore } from '#storage';

const [settings, operation, key, path] = process.argv.slice(2);
const store = await openStore(
  JSON.parse(settings, (name, value) => (/endpoint$/i.test(name) ? new URL(value) : value)),
);
globalThis.countSteps?.();
if (operation === 'delete') await store.delete(key);
else if (operation === 'roundTrip') {
  await store.put(key, { path });
  await store.getToFile(key, `${path}.back`);
  console.log(peakKib() * 1.024e-3);
} else await store[operation](key, { path });
await store.close();

/** Linux counts in maxRSS what the process was forked from; its VmHWM begins with the program. */
function peakKib() {
  try {
    return Number(/^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
  } catch {
    return process.resourceUsage().maxRSS;
  }
}
