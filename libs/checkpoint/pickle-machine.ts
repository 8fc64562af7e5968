// A pickle machine that can only make plain values: a fixed list of opcodes, a fixed list of names, no Python objects,
// no recursion, and a ceiling on everything it allocates. The policy is that of torch.load(weights_only=True)
// (torch/_weights_only_unpickler.py), less the opcodes no state_dict needs, plus protocol-4 strings for plain data.
import { CheckpointError } from './checkpoint-error.js';
import type { CheckpointLimits } from './limits.js';
import { PickleBytes, PickleFault, type PickleSource } from './pickle-bytes.js';
import { refusedOpcodes } from './pickle-opcodes.js';
import {
  describe,
  PickledFloat,
  PickledGlobal,
  type PickledKey,
  PickledOrderedDict,
  type PickledStorage,
  PickledTuple,
  type PickledValue,
} from './pickle-values.js';

/** What a pickle may name and call; faults get their place added. */
export interface PickleVocabulary {
  /** The value of a global, or undefined when it is not on the list. */
  find(module: string, name: string): PickledValue | undefined;
  /** What a refused global stands for, or '' when that is unknown. */
  explain(path: string): string;
  /** The result of calling a global; throws PickleFault. */
  call(path: string, args: readonly PickledValue[]): PickledValue;
  /** The storage of a persistent id; throws PickleFault. */
  storage(id: readonly PickledValue[]): PickledStorage;
}

/** Runs one pickle up to its STOP; returns its value and the byte after it. Throws CheckpointError. */
export function readPickle(
  source: PickleSource,
  vocabulary: PickleVocabulary,
  limits: CheckpointLimits,
): { value: PickledValue; end: number } {
  const machine = new PickleMachine(source, vocabulary, limits);
  try {
    return machine.run();
  } catch (error) {
    if (!(error instanceof PickleFault)) throw error;
    const place = `${source.label} (byte ${machine.opcodeAt})`;
    throw new CheckpointError(`${place} ${error.message}: ${error.advice}.`, { cause: error });
  }
}

const policy = 'only tensors and plain values are read, and nothing was run; save model.state_dict() and use that file';

class PickleMachine {
  private readonly input: PickleBytes;
  opcodeAt = 0;
  private objects = 0;
  private readonly stack: PickledValue[] = [];
  private readonly marks: number[] = [];
  private readonly memo = new Map<number, PickledValue>();

  constructor(
    source: PickleSource,
    private readonly vocabulary: PickleVocabulary,
    private readonly limits: CheckpointLimits,
  ) {
    this.input = new PickleBytes(source, limits);
  }

  run(): { value: PickledValue; end: number } {
    for (;;) {
      this.opcodeAt = this.input.at;
      const opcode = this.input.byte();
      if (opcode === 0x2e) return this.stop();
      this.step(opcode);
      if (this.stack.length > this.limits.stackDepth || this.marks.length > this.limits.stackDepth) {
        throw new PickleFault(`has more than ${this.limits.stackDepth} values pending`);
      }
    }
  }

  private stop(): { value: PickledValue; end: number } {
    const value = this.pop();
    if (this.stack.length > 0 || this.marks.length > 0) throw new PickleFault('ends with values left over');
    return { value, end: this.input.at };
  }

  private step(opcode: number): void {
    switch (opcode) {
      case 0x80:
        this.protocol();
        return;
      case 0x95:
        this.input.frame();
        return;
      case 0x28:
        this.marks.push(this.stack.length);
        return;
      case 0x4e:
        this.push(null);
        return;
      case 0x88:
        this.push(true);
        return;
      case 0x89:
        this.push(false);
        return;
      case 0x4b:
        this.push(this.input.byte());
        return;
      case 0x4d:
        this.push(this.input.uint16());
        return;
      case 0x4a:
        this.push(this.input.int32());
        return;
      case 0x8a:
        this.make(this.input.long(this.input.byte()));
        return;
      case 0x47:
        this.make(new PickledFloat(this.input.float64()));
        return;
      case 0x58:
        this.make(this.input.text(this.input.uint32()));
        return;
      case 0x8c:
      case 0x55:
        this.make(this.input.text(this.input.byte()));
        return;
      case 0x5d:
        this.make([]);
        return;
      case 0x7d:
        this.make(new Map());
        return;
      default:
        this.stepContainer(opcode);
        return;
    }
  }

  private stepContainer(opcode: number): void {
    switch (opcode) {
      case 0x29:
        this.make(new PickledTuple([]));
        return;
      case 0x74:
        this.make(new PickledTuple(this.popToMark()));
        return;
      case 0x85:
      case 0x86:
      case 0x87: {
        const items: PickledValue[] = [];
        for (let i = 0x84; i < opcode; i++) items.push(this.pop());
        this.make(new PickledTuple(items.reverse()));
        return;
      }
      case 0x61:
        this.append([this.pop()]);
        return;
      case 0x65:
        this.append(this.popToMark());
        return;
      case 0x73: {
        const value = this.pop();
        this.setItems([this.pop(), value]);
        return;
      }
      case 0x75:
        this.setItems(this.popToMark());
        return;
      case 0x68:
        this.recall(this.input.byte());
        return;
      case 0x6a:
        this.recall(this.input.uint32());
        return;
      case 0x71:
        this.remember(this.input.byte());
        return;
      case 0x72:
        this.remember(this.input.uint32());
        return;
      case 0x94:
        this.remember(this.memo.size);
        return;
      default:
        this.stepObject(opcode);
        return;
    }
  }

  private stepObject(opcode: number): void {
    switch (opcode) {
      case 0x63:
        this.global(this.input.line(), this.input.line());
        return;
      case 0x51:
        this.persistentId();
        return;
      case 0x52:
        this.reduce();
        return;
      case 0x62:
        this.build();
        return;
      case 0x69:
        throw this.refusedName(this.input.line(), this.input.line());
      case 0x93: {
        const name = this.pop();
        const module = this.pop();
        if (typeof name === 'string' && typeof module === 'string') throw this.refusedName(module, name);
        throw new PickleFault('has a STACK_GLOBAL without two strings');
      }
      default: {
        const name = refusedOpcodes.get(opcode) ?? `0x${opcode.toString(16).padStart(2, '0')}`;
        throw refusal(`uses the opcode ${name}`);
      }
    }
  }

  private protocol(): void {
    const protocol = this.input.byte();
    if (protocol < 2 || protocol > 5) throw new PickleFault(`claims pickle protocol ${protocol}, which does not exist`);
  }

  private global(module: string, name: string): void {
    const value = this.vocabulary.find(module, name);
    if (value === undefined) throw this.refusedName(module, name);
    this.make(value);
  }

  private persistentId(): void {
    const id = this.pop();
    if (!(id instanceof PickledTuple)) throw new PickleFault(`names a storage by ${describe(id)} instead of a tuple`);
    this.make(this.vocabulary.storage(id.items));
  }

  private reduce(): void {
    const args = this.pop();
    const callee = this.pop();
    if (!(callee instanceof PickledGlobal) || !(args instanceof PickledTuple)) {
      throw refusal(`calls ${describe(callee)} with ${describe(args)}`);
    }
    // A list argument is walked by the call, so it counts each time.
    for (const arg of args.items) if (Array.isArray(arg)) this.charge(arg.length);
    this.make(this.vocabulary.call(callee.path, args.items));
  }

  /** The attributes of an OrderedDict (`_metadata` of a state_dict): checked and dropped. */
  private build(): void {
    const state = this.pop();
    const target = this.top();
    if (!(target instanceof PickledOrderedDict) || !(state instanceof Map)) {
      throw refusal(`sets attributes of ${describe(target)}`);
    }
  }

  private append(items: PickledValue[]): void {
    const list = this.top();
    if (!Array.isArray(list)) throw new PickleFault(`appends to ${describe(list)} instead of a list`);
    for (const item of items) list.push(item);
  }

  private setItems(items: PickledValue[]): void {
    const dict = this.top();
    if (!(dict instanceof Map)) throw new PickleFault(`sets an item of ${describe(dict)} instead of a dict`);
    if (items.length % 2 !== 0) throw new PickleFault('has a dict key without a value');
    for (let i = 0; i < items.length; i += 2) dict.set(this.key(items[i]), items[i + 1] as PickledValue);
    // A dict entry costs more memory than the one-byte opcodes that fill it.
    this.charge(items.length / 2);
  }

  private key(value: PickledValue | undefined): PickledKey {
    if (value === undefined || (typeof value === 'object' && value !== null)) {
      throw new PickleFault(`has ${describe(value)} as a dict key`);
    }
    return value;
  }

  private recall(slot: number): void {
    const value = this.memo.get(slot);
    if (value === undefined) throw new PickleFault(`recalls memo slot ${slot}, which is empty`);
    this.push(value);
  }

  private remember(slot: number): void {
    this.memo.set(slot, this.top());
    if (this.memo.size > this.limits.memoSlots)
      throw new PickleFault(`fills more than ${this.limits.memoSlots} memo slots`);
  }

  private push(value: PickledValue): void {
    this.stack.push(value);
  }

  /** Pushes something that takes memory of its own. */
  private make(value: PickledValue): void {
    this.charge(1);
    this.stack.push(value);
  }

  private charge(count: number): void {
    this.objects += count;
    if (this.objects > this.limits.objects) throw new PickleFault(`makes more than ${this.limits.objects} objects`);
  }

  private top(): PickledValue {
    const value = this.stack.at(-1);
    if (value === undefined || this.stack.length <= (this.marks.at(-1) ?? 0))
      throw new PickleFault('takes a value that is not there');
    return value;
  }

  private pop(): PickledValue {
    const value = this.top();
    this.stack.pop();
    return value;
  }

  private popToMark(): PickledValue[] {
    const mark = this.marks.pop();
    if (mark === undefined) throw new PickleFault('closes a group that was not opened');
    return this.stack.splice(mark);
  }

  private refusedName(module: string, name: string): PickleFault {
    const path = JSON.stringify(`${module}.${name}`).slice(1, -1);
    const kind = this.vocabulary.explain(`${module}.${name}`);
    return refusal(`asks for ${path}${kind ? ` (${kind})` : ''}`);
  }
}

function refusal(what: string): PickleFault {
  return new PickleFault(`${what}, refused`, policy);
}
