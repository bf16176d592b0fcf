// Colours of runs: told apart by people who see them differently, and against both backgrounds at a
// contrast of 3 or more. Which run has which follows from the order in which runs were first shown.

import { state } from "./state";

const LIGHT = [
  "#2b62c9", "#c4560c", "#1b8457", "#c22f3d", "#7650bd", "#0f7f93",
  "#b8478f", "#7d6a10", "#81593a", "#566378", "#4f8a10", "#9a4fd0",
];
const DARK = [
  "#6b9dff", "#ff9d52", "#4cc38a", "#ff7b7b", "#b59aff", "#42c6da",
  "#f28cc8", "#d6bd45", "#cfa07a", "#a3b1c6", "#9cd14c", "#dd9bff",
];

export const COLORS_COUNT = LIGHT.length;
export const DASHES: number[][] = [[], [6, 3], [2, 2], [8, 3, 2, 3]];

// Of runs, of groups and of answers to queries each begin with the first colour. A key is a run, or
// `KIND` and a line end and a name.
const places = new Map<string, Map<string, number>>();

function kindOf(key: string): string {
  const end = key.indexOf("\n");
  return end < 0 ? "run" : key.slice(0, end);
}

export function isDark(): boolean {
  const chosen = document.documentElement.dataset["theme"];
  if (chosen) return chosen === "dark";
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

export function giveColors(keys: readonly string[]): void {
  for (const key of keys) {
    const kind = kindOf(key);
    const known = places.get(kind) ?? new Map<string, number>();
    places.set(kind, known);
    if (!known.has(key)) known.set(key, known.size);
  }
}

export function forgetColors(kind: string): void {
  places.delete(kind);
}

// The first `COLORS_COUNT` are plain, the next ones dashed.
export function placeOf(key: string): number {
  const chosen = state.colors.find((one) => one.startsWith(`${key}=`));
  if (chosen) return Number(chosen.slice(key.length + 1));
  giveColors([key]);
  return places.get(kindOf(key))!.get(key)!;
}

export function colorAt(place: number): string {
  return (isDark() ? DARK : LIGHT)[place % COLORS_COUNT]!;
}

export function colorOf(key: string): string {
  return colorAt(placeOf(key));
}

export function dashOf(key: string): number[] {
  return DASHES[Math.floor(placeOf(key) / COLORS_COUNT) % DASHES.length]!;
}

// A scale of brightness that also reads in greys and by those who see red and green alike (viridis).
const STOPS = [
  [68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142],
  [31, 158, 137], [53, 183, 121], [109, 205, 89], [180, 222, 44], [253, 231, 37],
];

export function heat(share: number): [number, number, number] {
  const at = Math.min(1, Math.max(0, share)) * (STOPS.length - 1);
  const below = Math.min(STOPS.length - 2, Math.floor(at));
  const [low, high] = [STOPS[below]!, STOPS[below + 1]!];
  const mix = (channel: number) =>
    Math.round(low[channel]! + (high[channel]! - low[channel]!) * (at - below));
  return [mix(0), mix(1), mix(2)];
}

export function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
