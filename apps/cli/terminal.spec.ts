import { describe, expect, it } from 'vitest';
import { clip, Terminal } from './terminal.js';

class Recorder {
  written = '';
  columns = 20;
  rows = 10;
  constructor(readonly isTTY = false) {}
  write(text: string): void {
    this.written += text;
  }
  hasColors(): boolean {
    return false;
  }
}

describe('a terminal', () => {
  it('keeps data and talk apart', () => {
    const [out, talk] = [new Recorder(), new Recorder()];
    const terminal = new Terminal({ out, talk });
    terminal.print('data');
    terminal.say('talk');
    terminal.live(['never shown elsewhere than on a terminal']);
    expect([out.written, talk.written]).toEqual(['data\n', 'talk\n']);
  });

  it('redraws its live lines in place and keeps talk above them', () => {
    const talk = new Recorder(true);
    const terminal = new Terminal({ out: new Recorder(), talk });
    terminal.live(['one', 'two']);
    terminal.say('news');
    terminal.live(['three']);
    expect(talk.written).toBe('one\ntwo\n\u001b[2A\u001b[Jnews\none\ntwo\n\u001b[2A\u001b[Jthree\n');
  });

  it('leaves no escape code on a dumb terminal or without colours', () => {
    const talk = new Recorder(true);
    const terminal = new Terminal({ out: new Recorder(), talk, dumb: true });
    terminal.live(['hidden']);
    terminal.say(terminal.colour('red', 'plain'));
    expect(talk.written).toBe('plain\n');
  });
});

describe('clip', () => {
  it('counts CJK characters as two columns and colour codes as none', () => {
    expect(clip('abcdef', 4)).toBe('abcd');
    expect(clip('温度扫描', 5)).toBe('温度');
    expect(clip('\u001b[31mabc\u001b[39mdef', 4)).toBe('\u001b[31mabc\u001b[39md\u001b[0m');
    expect(clip('\u001b[31mabc\u001b[39m', 9)).toBe('\u001b[31mabc\u001b[39m');
  });
});
