// The values under the cursor, beside it.

import { bucketAt, ChartData, Line, nearestIn } from "./chart_data";
import { colorOf } from "./colors";
import { element, replace } from "./dom";
import { NoteMark } from "./drawing";
import { formatAxis, formatNumber, formatSpan, formatTime } from "./format";

const ROWS_MAX = 14;

interface Row {
  line: Line;
  bucket: number;
  value: number;
  away: number; // pixels from the pointer, up or down
}

const box = element("div", { class: "tooltip", role: "status" });

export function hideTooltip(): void {
  box.classList.remove("seen");
}

export function formatX(kind: string, x: number): string {
  if (kind === "time") return formatTime(x * 1e6);
  return kind === "elapsed" ? formatSpan(x) : formatNumber(x);
}

// The line that is nearest to the pointer, if one is near.
export function nearestLine(data: ChartData, x: number, top: number, topOf: (y: number) => number) {
  const rows = rowsAt(data, x, top, topOf);
  const nearest = rows.sort((a, b) => a.away - b.away)[0];
  return nearest && nearest.away < 40 ? nearest.line.key : "";
}

function rowsAt(
  data: ChartData,
  x: number,
  top: number,
  topOf: (value: number) => number,
): Row[] {
  const rows: Row[] = [];
  for (const line of data.lines) {
    const bucket = nearestIn(line, x);
    if (bucket < 0) continue;
    const value = (line.smooth ?? line.mean)[bucket]!;
    const place = topOf(value);
    rows.push({ line, bucket, value, away: Number.isFinite(place) ? Math.abs(place - top) : 1e9 });
  }
  return rows;
}

function describe(line: Line, i: number): string {
  const parts: string[] = [];
  if (line.count[i]! > 0) {
    if (line.isMeanKnown || line.min[i] === line.max[i]) parts.push(formatNumber(line.mean[i]!));
    if (line.smooth) parts.push(`smoothed ${formatNumber(line.smooth[i]!)}`);
    if (line.min[i]! < line.max[i]!) {
      parts.push(`${formatNumber(line.min[i]!)} … ${formatNumber(line.max[i]!)}`);
    }
  }
  for (const [many, word] of [
    [line.nan[i]!, "NaN"],
    [line.pinf[i]!, "+Inf"],
    [line.ninf[i]!, "-Inf"],
  ] as const) {
    if (many > 0) parts.push(many > 1 ? `${many} × ${word}` : word);
  }
  return parts.join("  ");
}

function where(data: ChartData, x: number, nearest: Row): string {
  const at = bucketAt(data, x);
  const [lo, hi] = [data.lo[at]!, data.hi[at]!];
  const many = (line: Line, i: number) => line.count[i]! + line.nan[i]! + line.pinf[i]! + line.ninf[i]!;
  const isSingle = data.lines.every((line) => many(line, nearestIn(line, x)) <= 1);
  if (isSingle) return formatX(data.kind, nearest.line.x[nearest.bucket]!);
  if (data.kind !== "number") return formatX(data.kind, lo);
  return `${formatAxis(Number(lo.toPrecision(7)))} – ${formatAxis(Number(hi.toPrecision(7)))}`;
}

export function showTooltip(
  data: ChartData,
  x: number,
  top: number,
  plot: DOMRect,
  left: number,
  topOf: (value: number) => number,
  notes: NoteMark[] = [],
): void {
  const rows = rowsAt(data, x, top, topOf).sort((a, b) => a.away - b.away);
  if (rows.length === 0) return hideTooltip();
  const nearest = rows[0]!.line.key; // to the pointer
  const seen = rows.slice(0, ROWS_MAX).sort((a, b) => b.value - a.value || 0);
  const table = element("table");
  for (const { line, bucket } of seen) {
    const mark = element("span", { class: "swatch" });
    mark.style.background = colorOf(line.key);
    const many = data.isGrouped ? `  (${line.count[bucket]} runs)` : "";
    table.append(
      element(
        "tr",
        { class: line.key === nearest ? "nearest" : "" },
        element("td", {}, mark),
        element("td", { class: "name" }, line.label),
        element("td", { class: "value" }, describe(line, bucket) + many),
      ),
    );
  }
  const rest = rows.length > seen.length ? `${rows.length - seen.length} more further away` : "";
  replace(
    box,
    element("div", { class: "where" }, where(data, x, rows[0]!)),
    ...notes.map((note) => {
      const mark = element("span", { class: "swatch" });
      mark.style.background = colorOf(note.run);
      return element("div", { class: "noted" }, mark, `${formatX(data.kind, note.x)}: ${note.text}`);
    }),
    table,
    rest && element("div", { class: "rest" }, rest),
  );
  if (!box.isConnected) document.body.append(box);
  box.classList.add("seen");
  place(plot, left, top);
}

// Beside the pointer, on the side where there is room.
function place(plot: DOMRect, left: number, top: number): void {
  const { offsetWidth: width, offsetHeight: height } = box;
  const pointer = plot.left + left;
  const right = pointer + 16 + width < innerWidth ? pointer + 16 : pointer - 16 - width;
  const down = Math.min(plot.top + top + 12, innerHeight - height - 8);
  box.style.transform = `translate(${Math.max(4, Math.round(right))}px, ${Math.max(4, Math.round(down))}px)`;
}
