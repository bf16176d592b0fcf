// Answers to queries of any shape as charts, where they are ones.

import { Answer, Cell } from "./api";
import { ChartData, edgesOf, Line } from "./chart_data";
import { forgetColors } from "./colors";
import { XKind } from "./chart_query";

const AXES = ["lo", "step", "time", "x"];
const NOT_VALUES = new Set(["count", "nan", "pinf", "ninf", "hi", ...AXES]);

function isText(answer: Answer, index: number): boolean {
  return answer.columns[index]!.type === "text";
}

export function axisOf(answer: Answer): string | null {
  const first = AXES.find((name) => answer.has(name));
  if (!first) return null;
  const hasValues = answer.columns.some(
    (column, index) => !NOT_VALUES.has(column.name) && !isText(answer, index),
  );
  return hasValues ? first : null;
}

function numberOf(cell: Cell): number {
  return cell === null ? NaN : Number(cell);
}

function emptyLine(key: string, rows: number): Line {
  const make = () => new Float64Array(rows);
  return {
    key,
    label: key.slice(key.indexOf("\n") + 1),
    x: make(),
    count: make(),
    nan: make(),
    pinf: make(),
    ninf: make(),
    min: make(),
    max: make(),
    mean: make(),
    isMeanKnown: true,
    smooth: null,
  };
}

// The rows of one series; its values between `low` and `high`, where the answer has these.
function lineOf(
  answer: Answer,
  key: string,
  rows: number[],
  xs: Float64Array,
  middle: Cell[],
  low: Cell[],
  high: Cell[],
): Line {
  const line = emptyLine(`query\n${key}`, rows.length);
  const counts = ["nan", "pinf", "ninf"].map((name) => (answer.has(name) ? answer.column(name) : null));
  rows.forEach((row, i) => {
    const value = numberOf(middle[row]!);
    line.x[i] = xs[row]!;
    line.mean[i] = value;
    line.min[i] = numberOf(low[row]!);
    line.max[i] = numberOf(high[row]!);
    line.count[i] = Number.isFinite(value) ? 1 : 0;
    line.nan[i] = counts[0] ? Number(counts[0][row] ?? 0) : middle[row] === "NaN" ? 1 : 0;
    line.pinf[i] = counts[1] ? Number(counts[1][row] ?? 0) : value === Infinity ? 1 : 0;
    line.ninf[i] = counts[2] ? Number(counts[2][row] ?? 0) : value === -Infinity ? 1 : 0;
  });
  return line;
}

export function queryData(answer: Answer): ChartData | null {
  const axis = axisOf(answer);
  if (!axis) return null;
  const index = answer.columns.findIndex((column) => column.name === axis);
  const kind: XKind = answer.columns[index]!.type === "time" ? "time" : "number";
  const unit = kind === "time" ? 1e6 : 1;
  const xs = answer.numbers(axis);
  const hi = axis === "lo" && answer.has("hi") ? answer.numbers("hi") : xs;
  const middles = xs.map((x, row) => (x + hi[row]!) / 2 / unit);
  const keys = new Map<string, number[]>();
  for (let row = 0; row < answer.rows; ++row) {
    const parts: Cell[] = [];
    for (let column = 0; column < index; ++column) parts.push(answer.values[column]![row]!);
    const key = parts.map((part) => String(part ?? "none")).join(" · ") || "all";
    const rows = keys.get(key);
    if (rows) rows.push(row);
    else keys.set(key, [row]);
  }
  const names = answer.columns
    .filter((column, at) => at > index && !NOT_VALUES.has(column.name) && !isText(answer, at))
    .map((column) => column.name)
    .filter((name) => !/_x$/.test(name));
  const isBand = names.includes("mean") && names.includes("min") && names.includes("max");
  const lines: Line[] = [];
  forgetColors("query");
  for (const [key, rows] of keys) {
    for (const name of isBand ? ["mean"] : names) {
      const label = isBand || names.length === 1 ? key : keys.size === 1 ? name : `${key} · ${name}`;
      const middle = answer.column(name);
      const [low, high] = isBand ? [answer.column("min"), answer.column("max")] : [middle, middle];
      lines.push(lineOf(answer, label, rows, middles, middle, low, high));
    }
  }
  const first = keys.values().next().value ?? [];
  return {
    kind,
    ...edgesOf(xs, axis === "lo" && answer.has("hi") ? hi : null, first, unit),
    lines,
    isGrouped: false,
    notes: answer.notes,
    milliseconds: answer.milliseconds,
  };
}
