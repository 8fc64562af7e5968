// What the user sees while steps run: one line that is rewritten on a terminal, else one line when a step starts and one
// when it ends.
export class Progress {
  #steps = new Map();
  #terminal = Boolean(process.stdout.isTTY) && process.env.TERM !== 'dumb';
  #drawn = false;

  /** Runs one step under a name, with `note(text)` to tell how far it is. */
  async step(name, work) {
    const started = performance.now();
    this.#steps.set(name, '');
    if (this.#terminal) this.#draw();
    else console.log(`${name} …`);
    const ticking = this.#terminal ? setInterval(() => this.#draw(), 500) : undefined;
    ticking?.unref();
    try {
      const result = await work((text) => this.#steps.set(name, text));
      this.#steps.delete(name);
      this.say(`${name}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
      return result;
    } finally {
      clearInterval(ticking);
      this.#steps.delete(name);
    }
  }

  /** A line that stays. */
  say(line) {
    this.clear();
    console.log(line);
    if (this.#terminal) this.#draw();
  }

  clear() {
    if (this.#drawn) process.stdout.write('\r\x1b[2K');
    this.#drawn = false;
  }

  #draw() {
    if (this.#steps.size === 0) return;
    const text = [...this.#steps].map(([name, note]) => (note ? `${name} ${note}` : name)).join('  ·  ');
    process.stdout.write(`\r\x1b[2K${text.slice(0, (process.stdout.columns || 80) - 1)}`);
    this.#drawn = true;
  }
}
