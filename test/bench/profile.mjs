// Where the time of a step goes: seconds by operation. TensorFlow's eager operations end before their call returns, so the clock
// around a call is true; on WebAssembly the same holds for tfjs kernels.

/** Starts to count; `take()` gives the operations since the last call, longest first. */
export function startProfile(tf) {
  const times = new Map();
  const add = (name, ms) => {
    const entry = times.get(name) ?? { ms: 0, calls: 0 };
    times.set(name, { ms: entry.ms + ms, calls: entry.calls + 1 });
  };
  const timed = (target, method, nameOf) => {
    const original = target[method].bind(target);
    target[method] = (...args) => {
      const started = performance.now();
      try {
        return original(...args);
      } finally {
        add(nameOf(args), performance.now() - started);
      }
    };
  };
  const backend = tf.backend();
  if (backend.executeSingleOutput) {
    const nameOf = ([name, , inputs]) =>
      name.includes('MatMul') ? `${name} ${inputs.map((x) => x.shape.join('x')).join(' . ')}` : name;
    timed(backend, 'executeSingleOutput', nameOf);
    timed(backend, 'executeMultipleOutputs', nameOf);
  } else timed(tf.engine(), 'runKernel', ([name]) => name);
  return {
    take() {
      const entries = [...times].map(([name, entry]) => ({ name, ...entry }));
      times.clear();
      return entries.sort((a, b) => b.ms - a.ms);
    },
  };
}

/** Lines of a table; products of all shapes are summed in a row of their own before their largest shapes. */
export function profileLines(entries, { wallMs, steps, rows = 24 }) {
  const byName = new Map();
  for (const { name, ms, calls } of entries) {
    const group = name.split(' ')[0];
    const sum = byName.get(group) ?? { ms: 0, calls: 0 };
    byName.set(group, { ms: sum.ms + ms, calls: sum.calls + calls });
  }
  const line = (name, { ms, calls }) =>
    `${((100 * ms) / wallMs).toFixed(1).padStart(5)} % ${(ms / steps).toFixed(1).padStart(8)} ms a step ${String(Math.round(calls / steps)).padStart(5)} calls  ${name}`;
  const groups = [...byName].sort((a, b) => b[1].ms - a[1].ms).slice(0, rows);
  const inside = [...byName.values()].reduce((sum, { ms }) => sum + ms, 0);
  const products = entries.filter(({ name }) => name.includes(' ')).slice(0, rows / 2);
  return [
    ...groups.map(([name, entry]) => line(name, entry)),
    line('(JavaScript and everything outside operations)', { ms: wallMs - inside, calls: 0 }),
    'products by shape:',
    ...products.map((entry) => line(entry.name, entry)),
  ];
}
