// What a chart asks: one bucket for each pixel of its width, of all of its lines at once.

import { State } from "./state";
import { literal, literals, runsOf } from "./words";

export type XKind = "number" | "time" | "elapsed";

export interface Wanted {
  metric: string;
  isTimed: boolean; // telemetry has no steps
  runs: readonly string[];
  width: number; // pixels
}

const ROWS_MAX = 100_000; // of one answer: 500 runs at 200 buckets
export const BANDS_MAX = 40; // with more lines, bands would only cover each other

export function kindOfX(state: State, isTimed: boolean): XKind {
  if (state.x === "elapsed") return "elapsed";
  return state.x === "time" || (isTimed && state.x === "step") ? "time" : "number";
}

// Whether the range of the page is one of this chart's axis.
export function hasRange(state: State, isTimed: boolean): boolean {
  return state.from !== null && state.to !== null && !(isTimed && state.x === "step");
}

function rangeStage(state: State, isTimed: boolean): string {
  if (!hasRange(state, isTimed)) return "";
  const { from, to } = state;
  if (state.x === "step") return ` | steps ${from}..${to}`;
  if (state.x === "time") return ` | time ${Math.round(from!)}us..${Math.round(to!)}us`;
  const x = state.x === "elapsed" ? "elapsed" : `hold(${literal(state.x)})`;
  return ` | when ${x} >= ${from} and ${x} <= ${to}`;
}

function xStage(state: State, isTimed: boolean): string {
  if (state.x === "step") return "";
  if (state.x === "time") return isTimed ? "" : " | x time";
  return state.x === "elapsed" ? " | x elapsed" : ` | x hold(${literal(state.x)})`;
}

function logStage(state: State, isTimed: boolean): string {
  return state.logX && kindOfX(state, isTimed) !== "time" ? " | log-x" : "";
}

export function bucketsOf(width: number, lines: number): number {
  return Math.max(40, Math.min(Math.round(width), Math.floor(ROWS_MAX / Math.max(1, lines))));
}

export function chartQuery(state: State, wanted: Wanted, smoothing = 0): string {
  const { metric, isTimed, runs } = wanted;
  const smooth = smoothing > 0 ? ` | ema ${smoothing}` : "";
  const head =
    rangeStage(state, isTimed) + smooth + xStage(state, isTimed) + logStage(state, isTimed);
  const many = bucketsOf(wanted.width, runs.length);
  // Of many lines only the extremes are drawn.
  const middle = runs.length > BANDS_MAX ? "" : ", mean, min_x";
  const told = smoothing > 0 ? "mean" : `count, nan, pinf, ninf, min, max${middle}`;
  return `${literal(metric)} @ ${literals(runs)}${head} | buckets ${many} ${told}`;
}

// What is not finite, by class: a mean leaves it out, and a query that combines has one statistic.
export const CLASSES = ["nan", "pinf", "ninf"] as const;

// A line for each group, of all runs that the filter selects, however few are charted: their mean, or
// how many of their values are of a class, in the same rows.
export function groupQuery(
  state: State,
  wanted: Wanted,
  group: string,
  told: "mean" | (typeof CLASSES)[number] = "mean",
): string {
  const { metric, isTimed } = wanted;
  const smooth = state.smoothing > 0 ? ` | ema ${state.smoothing}` : "";
  const head =
    rangeStage(state, isTimed) + smooth + xStage(state, isTimed) + logStage(state, isTimed);
  const many = bucketsOf(wanted.width / 2, 20);
  const by = /^[\w./*{},-]+( except .*)?$/.test(group) ? group : literal(group);
  const combined = told === "mean" ? "mean, min, max, count" : "sum";
  return (
    `${literal(metric)} @ ${runsOf(state.runs)}${head} | buckets ${many} ${told}` +
    ` | group by ${by} ${combined}`
  );
}
