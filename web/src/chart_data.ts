// The answer to a chart's query, as the arrays that are drawn.

import { Answer } from "./api";
import { XKind } from "./chart_query";

export interface Line {
  key: string; // of its colour: the run, or the group
  label: string;
  x: Float64Array; // where a bucket is drawn: its only point, else its middle
  count: Float64Array; // finite values
  nan: Float64Array;
  pinf: Float64Array;
  ninf: Float64Array;
  min: Float64Array;
  max: Float64Array;
  mean: Float64Array;
  isMeanKnown: boolean; // else it is the middle of the extremes
  smooth: Float64Array | null;
}

export interface ChartData {
  kind: XKind;
  lo: Float64Array; // edges of the buckets, shared by all lines
  hi: Float64Array;
  lines: Line[];
  isGrouped: boolean;
  notes: string[];
  milliseconds: number; // in the server
}

function unitOf(kind: XKind): number {
  return kind === "time" ? 1e6 : 1; // times are microseconds, and seconds on an axis
}

function scaled(numbers: Float64Array, unit: number): Float64Array {
  if (unit !== 1) for (let i = 0; i < numbers.length; ++i) numbers[i]! /= unit;
  return numbers;
}

// Where one series ends and the next begins.
function pieces(keys: string[]): [number, number][] {
  const found: [number, number][] = [];
  let begin = 0;
  for (let row = 1; row <= keys.length; ++row) {
    if (row < keys.length && keys[row] === keys[begin]) continue;
    if (row > begin) found.push([begin, row]);
    begin = row;
  }
  return found;
}

function zeros(numbers: Float64Array): Float64Array {
  for (let i = 0; i < numbers.length; ++i) if (!(numbers[i]! > 0)) numbers[i] = 0;
  return numbers;
}

export function runsData(answer: Answer, smooth: Answer | null, kind: XKind): ChartData {
  const unit = unitOf(kind);
  const [lo, hi] = ["lo", "hi"].map((name) => scaled(answer.numbers(name), unit));
  const counts = ["count", "nan", "pinf", "ninf"].map((name) => zeros(answer.numbers(name)));
  const [min, max] = ["min", "max"].map((name) => answer.numbers(name));
  // Of many lines neither is asked for; their middle is what a cursor is near to.
  const mean = answer.has("mean") ? answer.numbers("mean") : min!.map((low, i) => (low + max![i]!) / 2);
  const at = answer.has("min_x") ? scaled(answer.numbers("min_x"), unit) : null;
  const smoothed = smooth ? smooth.numbers("mean") : null;
  const runs = answer.texts("run");
  const x = new Float64Array(answer.rows);
  for (let row = 0; row < x.length; ++row) {
    x[row] = at && counts[0]![row] === 1 ? at[row]! : (lo![row]! + hi![row]!) / 2;
  }
  const found = pieces(runs);
  const part = (numbers: Float64Array, [begin, end]: [number, number]) =>
    numbers.subarray(begin, end);
  // A grid of another length: points came between the two answers. The next refresh has both.
  const isSmooth = smoothed !== null && smoothed.length === answer.rows;
  return {
    kind,
    lo: found.length > 0 ? part(lo!, found[0]!) : new Float64Array(),
    hi: found.length > 0 ? part(hi!, found[0]!) : new Float64Array(),
    lines: found.map((piece) => ({
      key: runs[piece[0]]!.replace(/#\d+$/, ""),
      label: runs[piece[0]]!,
      x: part(x, piece),
      count: part(counts[0]!, piece),
      nan: part(counts[1]!, piece),
      pinf: part(counts[2]!, piece),
      ninf: part(counts[3]!, piece),
      min: part(min!, piece),
      max: part(max!, piece),
      mean: part(mean, piece),
      isMeanKnown: at !== null,
      smooth: isSmooth ? part(smoothed, piece) : null,
    })),
    isGrouped: false,
    notes: answer.notes,
    milliseconds: answer.milliseconds + (smooth?.milliseconds ?? 0),
  };
}

export function groupKey(group: string, value: unknown): string {
  return `group\n${group} = ${value ?? "none"}`;
}

// Whether some of what was combined is not finite, which a note of the answer says.
export function hasLeftOut(answer: Answer): boolean {
  return answer.notes.some((note) => /that (is|are) not finite/.test(note));
}

// `classes`: the counts of CLASSES in the same buckets, where there is anything to count.
export function groupsData(answer: Answer, kind: XKind, classes: Answer[] = []): ChartData {
  const unit = unitOf(kind);
  const [lo, hi] = ["lo", "hi"].map((name) => scaled(answer.numbers(name), unit));
  const before = answer.columns.findIndex((column) => column.name === "lo");
  const keys = Array.from({ length: answer.rows }, (_, row) =>
    answer.columns
      .slice(0, before)
      .map((column, index) => groupKey(column.name, answer.values[index]![row]).slice(6))
      .join(", "),
  );
  const count = zeros(answer.numbers("count"));
  const [mean, min, max] = ["mean", "min", "max"].map((name) => answer.numbers(name));
  // A grid of another length: points came between the answers. The next refresh has all of them.
  const counts = [0, 1, 2].map((which) => {
    const told = classes[which];
    return told?.rows === answer.rows ? zeros(told.numbers("sum")) : new Float64Array(answer.rows);
  });
  const middle = lo!.map((low, row) => (low + hi![row]!) / 2);
  const found = pieces(keys);
  return {
    kind,
    lo: found.length > 0 ? lo!.subarray(...found[0]!) : new Float64Array(),
    hi: found.length > 0 ? hi!.subarray(...found[0]!) : new Float64Array(),
    lines: found.map(([begin, end]) => ({
      key: `group\n${keys[begin]!}`,
      label: keys[begin]!,
      x: middle.subarray(begin, end),
      count: count.subarray(begin, end),
      nan: counts[0]!.subarray(begin, end),
      pinf: counts[1]!.subarray(begin, end),
      ninf: counts[2]!.subarray(begin, end),
      min: min!.subarray(begin, end),
      max: max!.subarray(begin, end),
      mean: mean!.subarray(begin, end),
      isMeanKnown: true,
      smooth: null,
    })),
    isGrouped: true,
    notes: answer.notes,
    milliseconds: answer.milliseconds,
  };
}

// The edges of the buckets, which all series share: those of the rows of one. Of points, whose `hi` is
// null, the places that any series has.
export function edgesOf(lo: Float64Array, hi: Float64Array | null, rows: number[], unit: number) {
  const take = (from: Float64Array) => Float64Array.from(rows, (row) => from[row]! / unit);
  if (hi) return { lo: take(lo), hi: take(hi) };
  const places = Float64Array.from([...new Set(lo)].sort((a, b) => a - b), (x) => x / unit);
  return { lo: places, hi: places };
}

export function isEmpty(data: ChartData): boolean {
  return data.lines.every((line) =>
    line.count.every((many, i) => many + line.nan[i]! + line.pinf[i]! + line.ninf[i]! === 0),
  );
}

// The bucket at x.
export function bucketAt(data: ChartData, x: number): number {
  let [low, high] = [0, data.lo.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (data.lo[middle]! <= x) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}

// The bucket nearest to x in which the line has anything, or -1.
export function nearestIn(line: Line, x: number): number {
  let [low, high] = [0, line.x.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (line.x[middle]! < x) low = middle + 1;
    else high = middle;
  }
  const isBefore = low > 0 && (low === line.x.length || x - line.x[low - 1]! < line.x[low]! - x);
  const bucket = isBefore ? low - 1 : low;
  const has = (i: number) => line.count[i]! + line.nan[i]! + line.pinf[i]! + line.ninf[i]! > 0;
  const length = line.count.length;
  for (let away = 0; away < length; ++away) {
    if (bucket - away >= 0 && has(bucket - away)) return bucket - away;
    if (bucket + away < length && has(bucket + away)) return bucket + away;
  }
  return -1;
}

export interface Extent {
  min: number;
  max: number;
}

const ROBUST_FROM = 200; // values; of fewer, the outermost percent is what one looks for

// What the y axis has to hold. Robust: of the middle 98 % of the means. On a log axis what is
// positive.
export function extentOf(data: ChartData, isLog: boolean, isRobust: boolean): Extent | null {
  let [min, max] = [Infinity, -Infinity];
  const means: number[] = [];
  for (const line of data.lines) {
    for (let i = 0; i < line.count.length; ++i) {
      if (!(line.count[i]! > 0)) continue;
      if (isRobust) means.push((line.smooth ?? line.mean)[i]!);
      const low = line.min[i]!;
      const high = line.max[i]!;
      if (low < min && (!isLog || low > 0)) min = low;
      if (high > max) max = high;
      if (isLog && low <= 0 && high > 0 && high < min) min = high;
    }
  }
  if (isRobust && means.length >= ROBUST_FROM) {
    means.sort((a, b) => a - b);
    const at = (share: number) => means[Math.round(share * (means.length - 1))]!;
    [min, max] = [at(0.01), at(0.99)];
    if (isLog) min = means.find((mean) => mean > 0) ?? Infinity;
  }
  return min <= max ? { min, max } : null;
}
