// Asks for charts and parses the answers beside the page, which goes on drawing meanwhile: those of
// hundreds of lines are megabytes of JSON.

import { Cell, Column } from "./api";
import { readLines } from "./lines";
import { Packed, Told, ToWorker } from "./packed";

interface Line {
  index: number;
  error?: unknown;
  columns: Column[];
  rows: number;
  values: Cell[][];
  notes?: string[];
  milliseconds?: number;
}

const requests = new Map<number, AbortController>();

function packNumbers(cells: Cell[]): Float64Array {
  const numbers = new Float64Array(cells.length);
  for (let row = 0; row < cells.length; ++row) {
    const cell = cells[row];
    numbers[row] = typeof cell === "number" ? cell : cell === null ? NaN : Number(cell);
  }
  return numbers;
}

function packTexts(cells: Cell[]): [string, number][] {
  const runs: [string, number][] = [];
  let last: [string, number] | null = null;
  for (const cell of cells) {
    const text = String(cell ?? "");
    if (last && last[0] === text) ++last[1];
    else runs.push((last = [text, 1]));
  }
  return runs;
}

function pack(line: Line): Packed {
  const isText = line.columns.map((column) => column.type === "text");
  return {
    columns: line.columns,
    rows: line.rows,
    numbers: line.values.map((cells, index) => (isText[index] ? null : packNumbers(cells))),
    texts: line.values.map((cells, index) => (isText[index] ? packTexts(cells) : null)),
    notes: line.notes ?? [],
    milliseconds: line.milliseconds ?? 0,
  };
}

function tell(told: Told, transfer: Transferable[] = []): void {
  (self as unknown as Worker).postMessage(told, transfer);
}

async function answer(batch: number, body: string, token: string): Promise<void> {
  const request = new AbortController();
  requests.set(batch, request);
  const headers: Record<string, string> = { "Content-Type": "application/json" };
  if (token) headers["Authorization"] = `Bearer ${token}`;
  try {
    const { signal } = request;
    const response = await fetch("/api/queries", { method: "POST", body, headers, signal });
    if (!response.ok) {
      return tell({ batch, end: true, status: response.status, text: await response.text() });
    }
    await readLines(response, (text) => {
      const line = JSON.parse(text) as Line;
      if (line.error) return tell({ batch, index: line.index, error: line.error });
      const packed = pack(line);
      const buffers = packed.numbers.flatMap((numbers) => (numbers ? [numbers.buffer] : []));
      tell({ batch, index: line.index, packed }, buffers as ArrayBuffer[]);
    });
    tell({ batch, end: true, status: 200, text: "" });
  } catch (error) {
    tell({ batch, end: true, status: 0, text: String(error) });
  } finally {
    requests.delete(batch);
  }
}

self.addEventListener("message", (event: MessageEvent<ToWorker>) => {
  const asked = event.data;
  if ("abort" in asked) requests.get(asked.batch)?.abort();
  else void answer(asked.batch, asked.body, asked.token);
});
