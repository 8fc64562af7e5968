// Whose request is being answered, known to everything that runs for it: the guard says it once the key is known.
import { AsyncLocalStorage } from 'node:async_hooks';
import type { NextFunction, Request, Response } from 'express';

const current = new AsyncLocalStorage<{ owner?: string }>();

/** Middleware: opens the place where the request's owner is kept. */
export function keepOwner(_request: Request, _response: Response, next: NextFunction): void {
  current.run({}, next);
}

export function setOwner(owner: string): void {
  const kept = current.getStore();
  if (kept) kept.owner = owner;
}

/** The owner of the key that the request showed. */
export function currentOwner(): string {
  const owner = current.getStore()?.owner;
  if (owner === undefined) throw new Error('an owner is asked for where no request with a key is answered');
  return owner;
}
