// The state of the page. It lives in the address, so that an address that is sent to somebody shows
// what its sender saw, and going back is the browser's own.

export type View = "charts" | "layers" | "compare" | "query";

export interface State {
  view: View;
  runs: string; // the filter above the runs
  sort: string; // an expression, with ` desc`
  columns: string[]; // expressions beside the name
  shown: number; // how many runs of the list are charted
  hidden: string[];
  pinned: string[]; // first in the list, and always charted
  colors: string[]; // `RUN=NUMBER of the palette`, where chosen by hand
  metrics: string; // the search above the charts
  x: string; // step, time, elapsed or a metric
  logX: boolean;
  logY: boolean;
  robust: boolean; // y without the outermost points
  smoothing: number; // of `ema`, 0 for none
  from: number | null; // of x; microseconds for times
  to: number | null;
  group: string; // an attribute; empty: a line for each run
  attempts: boolean; // older attempts too
  size: string; // of charts: s, m, l
  folded: string[]; // namespaces
  open: string; // the metric that is shown large
  layers: string; // the pattern of the layers view
  layersRun: string;
  statistic: string;
  scale: string; // of colours: linear, log, row
  differing: boolean; // of attributes: only those that differ
  query: string;
}

const DEFAULTS: State = {
  view: "charts",
  runs: "",
  sort: "created desc",
  columns: [],
  shown: 10,
  hidden: [],
  pinned: [],
  colors: [],
  metrics: "",
  x: "step",
  logX: false,
  logY: false,
  robust: false,
  smoothing: 0,
  from: null,
  to: null,
  group: "",
  attempts: false,
  size: "m",
  folded: [],
  open: "",
  layers: "",
  layersRun: "",
  statistic: "mean",
  scale: "linear",
  differing: true,
  query: "",
};

export type Key = keyof State;
type Listener = (changed: ReadonlySet<Key>) => void;

// Changes of these are places to go back to.
const PLACES: ReadonlySet<Key> = new Set(["view", "open", "from", "to", "layers"]);

function write(state: State): string {
  const words = new URLSearchParams();
  for (const key of Object.keys(DEFAULTS) as Key[]) {
    const value = state[key];
    if (key === "view" || JSON.stringify(value) === JSON.stringify(DEFAULTS[key])) continue;
    if (Array.isArray(value)) for (const one of value) words.append(key, one);
    else words.set(key, String(value));
  }
  const text = words.toString();
  return `#/${state.view}${text ? `?${text}` : ""}`;
}

export function read(hash: string): State {
  const state: Record<string, unknown> = structuredClone(DEFAULTS) as never;
  const [path, text = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  if (["charts", "layers", "compare", "query"].includes(path!)) state["view"] = path;
  const words = new URLSearchParams(text);
  for (const key of Object.keys(DEFAULTS) as Key[]) {
    if (key === "view" || !words.has(key)) continue;
    const value = words.get(key)!;
    const usual = DEFAULTS[key];
    if (Array.isArray(usual)) state[key] = words.getAll(key);
    else if (typeof usual === "boolean") state[key] = value === "true";
    else if (typeof usual === "number" || usual === null) {
      if (Number.isFinite(Number(value))) state[key] = Number(value);
    } else state[key] = value;
  }
  return state as unknown as State;
}

const listeners: Listener[] = [];
export let state: State = read(location.hash);

export function onChange(listener: Listener): void {
  listeners.push(listener);
}

export function change(part: Partial<State>): void {
  const changed = new Set<Key>();
  for (const key of Object.keys(part) as Key[]) {
    if (JSON.stringify(part[key]) !== JSON.stringify(state[key])) changed.add(key);
  }
  if (changed.size === 0) return;
  state = { ...state, ...part };
  const isPlace = [...changed].some((key) => PLACES.has(key));
  if (isPlace) history.pushState(null, "", write(state));
  else history.replaceState(null, "", write(state));
  for (const listener of listeners) listener(changed);
}

export function address(): string {
  return write(state);
}

// The whole state at once, as of an address or of a saved dashboard.
export function enter(hash: string): void {
  change(read(hash));
}

function follow(): void {
  const next = read(location.hash);
  const changed = new Set<Key>();
  for (const key of Object.keys(DEFAULTS) as Key[]) {
    if (JSON.stringify(next[key]) !== JSON.stringify(state[key])) changed.add(key);
  }
  state = next;
  if (changed.size > 0) for (const listener of listeners) listener(changed);
}

window.addEventListener("popstate", follow);
window.addEventListener("hashchange", follow);
