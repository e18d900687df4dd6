// What the page and its worker say to each other.

import type { Progress, BenchRow } from "./types";

/** A call of one of the worker's functions. */
export interface Call {
  id: number;
  name: string;
  request: unknown;
}

export type Answer =
  | { id: number; progress: Progress | BenchRow }
  | { id: number; result: unknown }
  | { id: number; error: string }
  /** The worker is of no more use. */
  | { id: number; error: string; broken: true };
