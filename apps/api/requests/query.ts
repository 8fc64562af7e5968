// Reads query parameters: unknown names are refused by name and all faults are reported at once, as for bodies.
import { type Fault, InvalidRequest } from '#experiment';

export interface PageRequest {
  limit: number;
  cursor?: string;
}

const DEFAULT_PAGE = 50;
const MAX_PAGE = 500;

export class QueryReader {
  private readonly faults: Fault[] = [];
  private readonly values = new Map<string, string>();

  constructor(query: object, known: readonly string[]) {
    for (const [name, value] of Object.entries(query)) {
      if (!known.includes(name)) {
        const wanted = known.length > 0 ? `known here: ${known.join(', ')}` : 'none is known here';
        this.faults.push({ path: name, message: `unknown query parameter; ${wanted}` });
      } else if (typeof value !== 'string') this.faults.push({ path: name, message: 'given more than once' });
      else this.values.set(name, value);
    }
  }

  text(name: string): string | undefined {
    return this.values.get(name);
  }

  integer(name: string, range: { low: number; high: number }): number | undefined {
    const text = this.values.get(name);
    if (text === undefined) return undefined;
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= range.low && value <= range.high) return value;
    this.fault(name, `must be a whole number from ${range.low} to ${range.high}, not ${JSON.stringify(text)}`);
    return undefined;
  }

  choice<T extends string>(name: string, allowed: readonly T[]): T | undefined {
    const text = this.values.get(name);
    if (text === undefined) return undefined;
    const found = allowed.find((value) => value === text);
    if (found === undefined) this.fault(name, `must be one of ${allowed.join(', ')}, not ${JSON.stringify(text)}`);
    return found;
  }

  page(): PageRequest {
    const limit = this.integer('limit', { low: 1, high: MAX_PAGE }) ?? DEFAULT_PAGE;
    const cursor = this.values.get('cursor');
    return cursor === undefined ? { limit } : { limit, cursor };
  }

  fault(path: string, message: string): void {
    this.faults.push({ path, message });
  }

  /** To be called when everything has been read. Throws InvalidRequest with all faults. */
  done(): void {
    if (this.faults.length > 0) throw new InvalidRequest(this.faults);
  }
}

export function refuseQuery(query: object): void {
  new QueryReader(query, []).done();
}
