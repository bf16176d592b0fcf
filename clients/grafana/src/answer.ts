// An answer of StepDB's HTTP interface, as docs/http.md describes it, and its numbers as they are.

export type ColumnType = 'text' | 'float64' | 'step' | 'time' | 'uint64';

export interface Column {
  name: string;
  type: ColumnType;
}

export type Cell = string | number | boolean | null;

export interface Answer {
  columns: Column[];
  rows: number;
  values: Cell[][];
  notes: string[];
}

export interface AnswerError {
  code: string;
  message: string;
  begin?: number;
  end?: number;
}

// JSON has no NaN and no infinities, so these come as texts; null is where there is nothing.
export function numberOf(cell: Cell): number | null {
  if (cell === null || typeof cell === 'number') {
    return cell;
  }
  switch (cell) {
    case 'Infinity':
      return Infinity;
    case '-Infinity':
      return -Infinity;
    default:
      // "NaN", "nan:HEX"; a uint64 beyond 2^53 is a text of digits.
      return /^\d+$/.test(String(cell)) ? Number(cell) : NaN;
  }
}

// What the user is told: the message begins with the place, which the query box does not show.
export function describeError(error: AnswerError): string {
  return error.message;
}
