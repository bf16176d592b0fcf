// Answers as they come from the worker that has decoded them: numbers as float64, texts by their runs.

import { Column } from "./api";

export interface Packed {
  columns: Column[];
  rows: number;
  numbers: (Float64Array | null)[]; // of each column that is no text; what is absent is NaN
  texts: ([string, number][] | null)[]; // of each that is one: a text, and how many rows have it
  notes: string[];
  milliseconds: number; // from the request to here
}

export type ToWorker =
  | { request: number; query: string; token: string }
  | { request: number; abort: true };

export type Told =
  | { request: number; packed: Packed }
  | { request: number; status: number; text: string }; // 0: the server was not reached
