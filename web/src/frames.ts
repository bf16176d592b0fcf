// Binary answers (docs/protocol.md, "Frame" and "result_columns" to "result_end").

import { Packed } from "./packed";

const HEADER = 24;
const [COLUMNS, BLOCK, END] = [144, 145, 146];
const TYPES = ["text", "float64", "step", "time", "uint64"];
const [TEXT, TIME, UINT64] = [0, 3, 4];
const HIGH = 2 ** 32;

const utf8 = new TextDecoder();

class Reader {
  readonly view: DataView;

  constructor(
    readonly buffer: ArrayBuffer,
    public at: number,
    readonly end: number,
  ) {
    this.view = new DataView(buffer);
  }

  u8(): number {
    return this.view.getUint8(this.at++);
  }

  u32(): number {
    this.at += 4;
    return this.view.getUint32(this.at - 4, true);
  }

  text(): string {
    const length = this.u32();
    this.at += length;
    return utf8.decode(new Uint8Array(this.buffer, this.at - length, length));
  }
}

// The numbers of a column, block by block.
interface Part {
  rows: number;
  numbers: (Float64Array | null)[];
}

// Time and counts are whole numbers; beyond 2^53 the last digits do not show on a chart.
function wholeNumbers(reader: Reader, rows: number, isSigned: boolean): Float64Array {
  const numbers = new Float64Array(rows);
  for (let row = 0; row < rows; ++row) {
    const low = reader.view.getUint32(reader.at + 8 * row, true);
    const high = reader.at + 8 * row + 4;
    const upper = isSigned ? reader.view.getInt32(high, true) : reader.view.getUint32(high, true);
    numbers[row] = upper * HIGH + low;
  }
  return numbers;
}

function readCells(reader: Reader, type: number, rows: number): Float64Array {
  const bytes = 8 * rows;
  const numbers =
    type === TIME || type === UINT64
      ? wholeNumbers(reader, rows, type === TIME)
      : new Float64Array(reader.buffer.slice(reader.at, reader.at + bytes));
  reader.at += bytes;
  return numbers;
}

function readTexts(reader: Reader, runs: number, texts: [string, number][]): void {
  const begin = reader.at;
  for (let run = 0; run < runs; ++run) {
    const rows = reader.u32();
    const text = reader.text();
    const last = texts[texts.length - 1];
    if (last && last[0] === text) last[1] += rows;
    else texts.push([text, rows]);
  }
  reader.at += (8 - ((reader.at - begin) % 8)) % 8;
}

function readBlock(reader: Reader, types: number[], texts: Packed["texts"]): Part {
  const rows = reader.u32();
  reader.u32(); // columns
  const numbers = types.map((type, column) => {
    const hasNulls = (reader.u32() & 1) === 1;
    const runs = reader.u32();
    const validity = reader.at;
    if (hasNulls) reader.at += Math.ceil(Math.ceil(rows / 8) / 8) * 8;
    if (type === TEXT) {
      readTexts(reader, runs, texts[column]!);
      return null;
    }
    const cells = readCells(reader, type, rows);
    for (let row = 0; hasNulls && row < rows; ++row) {
      const isThere = (reader.view.getUint8(validity + (row >> 3)) >> (row & 7)) & 1;
      if (!isThere) cells[row] = NaN;
    }
    return cells;
  });
  return { rows, numbers };
}

function join(parts: Part[], column: number, rows: number): Float64Array {
  const numbers = new Float64Array(rows);
  let at = 0;
  for (const part of parts) {
    numbers.set(part.numbers[column]!, at);
    at += part.rows;
  }
  return numbers;
}

export function decodeFrames(buffer: ArrayBuffer): Packed {
  const types: number[] = [];
  const names: string[] = [];
  const parts: Part[] = [];
  const texts: Packed["texts"] = [];
  const notes: string[] = [];
  let isWhole = false;
  for (let at = 0; at < buffer.byteLength; ) {
    const head = new DataView(buffer, at, HEADER);
    const reader = new Reader(buffer, at + HEADER, at + head.getUint32(0, true));
    const type = head.getUint8(5);
    if (type === COLUMNS) {
      for (let left = reader.u32(); left > 0; --left) {
        types.push(reader.u8());
        names.push(reader.text());
        texts.push(types[types.length - 1] === TEXT ? [] : null);
      }
    } else if (type === BLOCK) {
      parts.push(readBlock(reader, types, texts));
    } else if (type === END) {
      reader.at += 8;
      for (let left = reader.u32(); left > 0; --left) notes.push(reader.text());
      isWhole = true;
    }
    at = reader.end;
  }
  if (!isWhole) throw new Error("the answer ended too early");
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  return {
    columns: names.map((name, index) => ({ name, type: TYPES[types[index]!] ?? "unknown" })),
    rows,
    numbers: types.map((type, column) => (type === TEXT ? null : join(parts, column, rows))),
    texts,
    notes,
    milliseconds: 0,
  };
}
