// Answers as they come from the worker that has parsed them: numbers as float64, texts by their runs.

import { Column } from "./api";

export interface Packed {
  columns: Column[];
  rows: number;
  numbers: (Float64Array | null)[]; // of each column that is no text; what is absent is NaN
  texts: ([string, number][] | null)[]; // of each that is one: a text, and how many rows have it
  notes: string[];
  milliseconds: number;
}

export interface Asked {
  batch: number;
  body: string;
  token: string;
}

export type Told =
  | { batch: number; index: number; packed: Packed }
  | { batch: number; index: number; error: unknown } // as the server told it
  | { batch: number; end: true; status: number; text: string };

export type ToWorker = Asked | { batch: number; abort: true };
