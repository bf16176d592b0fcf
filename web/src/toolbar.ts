// What lies above the charts: search, axes, smoothing, grouping, size.

import { ask, QueryError } from "./api";
import { element, select, settled, toggle } from "./dom";
import { formatAxis, formatTime } from "./format";
import { Metrics } from "./metrics";
import { Runs } from "./runs";
import { change, onChange, state } from "./state";
import { byName, literals } from "./words";

// From the slider's place to the weight of `ema`: fine towards 1, where it matters.
function weightOf(place: number): number {
  return place === 0 ? 0 : Number((1 - 10 ** (-place / 25)).toFixed(4));
}

function placeOf(weight: number): number {
  return weight <= 0 ? 0 : Math.round(-25 * Math.log10(1 - weight));
}

function makeSearch(metrics: Metrics): HTMLInputElement {
  const search = element("input", {
    type: "search",
    class: "search",
    placeholder: "Metrics: loss   layers/*/grad   ~\"regex\"",
    label: "search of metrics",
    title: "Words in order, a pattern with * or {}, or ~ and a regular expression (key: /)",
    value: state.metrics,
  });
  search.spellcheck = false;
  search.addEventListener("input", settled(60, () => change({ metrics: search.value })));
  search.addEventListener("input", settled(500, () => void metrics.search(search.value)));
  onChange((changed) => {
    if (changed.has("metrics") && document.activeElement !== search) search.value = state.metrics;
  });
  return search;
}

function makeX(metrics: Metrics): HTMLSelectElement {
  const plain = ["step", "time", "elapsed"].map((value) => ({ value, text: `x: ${value}` }));
  const made = select("what the charts are laid along", plain, state.x, (x) =>
    change({ x, from: null, to: null }),
  );
  const fill = () => {
    // Metrics that count on, by their names, are the ones that make an axis.
    const others = metrics.names
      .filter((name) => /token|epoch|sample|flops|hours|progress|examples|step|iter/i.test(name))
      .slice(0, 40);
    if (!["step", "time", "elapsed", ...others].includes(state.x)) others.push(state.x);
    while (made.options.length > 3) made.remove(3);
    for (const name of others) made.append(element("option", { value: name }, `x: ${name}`));
    made.value = state.x;
  };
  metrics.onList(fill);
  onChange((changed) => {
    if (changed.has("x")) fill();
  });
  fill();
  return made;
}

function makeSmoothing(): HTMLElement {
  const slider = element("input", { type: "range", label: "smoothing" });
  slider.min = "0";
  slider.max = "75";
  slider.title = "Smoothing: the exponential mean over points; the raw band stays";
  const text = element("span", { class: "value" });
  const show = () => {
    slider.value = String(placeOf(state.smoothing));
    text.textContent = state.smoothing > 0 ? state.smoothing.toFixed(3) : "off";
  };
  slider.addEventListener("input", () => {
    text.textContent = slider.value === "0" ? "off" : weightOf(Number(slider.value)).toFixed(3);
  });
  slider.addEventListener(
    "input",
    settled(80, () => change({ smoothing: weightOf(Number(slider.value)) })),
  );
  onChange(show);
  show();
  return element("label", { class: "slider" }, "smooth", slider, text);
}

function makeGroup(runs: Runs): HTMLSelectElement {
  const made = select("lines", [{ value: "", text: "line per run" }], state.group, (group) =>
    change({ group }),
  );
  const fill = (names: string[]) => {
    while (made.options.length > 1) made.remove(1);
    for (const name of new Set([...(state.group ? [state.group] : []), ...names])) {
      made.append(element("option", { value: name }, `mean by ${name}`));
    }
    made.value = state.group;
  };
  const load = async () => {
    const asked = runs.shown.slice(0, 12);
    if (asked.length === 0) return fill([]);
    try {
      const answer = await ask(`attributes ${literals(asked)}`);
      const values = new Map<string, Set<string>>();
      const [names, cells] = ["attribute", "value"].map((name) => answer.texts(name));
      names!.forEach((name, row) => {
        if (!name.startsWith("sys/")) values.set(name, (values.get(name) ?? new Set()).add(cells![row]!));
      });
      const order = [...values].sort(
        ([a, one], [b, two]) => Number(two.size > 1) - Number(one.size > 1) || byName(a, b),
      );
      fill(["state", ...order.map(([name]) => name)]);
    } catch (error) {
      if (!(error instanceof QueryError)) throw error; // a run that has just been deleted
    }
  };
  runs.onShown(() => void load());
  onChange((changed) => {
    if (!changed.has("group")) return;
    if (![...made.options].some((option) => option.value === state.group)) fill([state.group]);
    made.value = state.group;
  });
  return made;
}

function makeRange(): HTMLButtonElement {
  const made = element("button", { type: "button", class: "range", title: "The whole range (key: 0)" });
  made.addEventListener("click", () => change({ from: null, to: null }));
  const show = () => {
    made.hidden = state.from === null || state.to === null;
    const word = (x: number) =>
      state.x === "time" ? formatTime(x) : formatAxis(Number(x.toPrecision(6)));
    if (!made.hidden) made.textContent = `${word(state.from!)} – ${word(state.to!)}  ×`;
  };
  onChange(show);
  show();
  return made;
}

export interface Toolbar {
  root: HTMLElement;
  search: HTMLInputElement;
}

export function makeToolbar(runs: Runs, metrics: Metrics): Toolbar {
  const search = makeSearch(metrics);
  const flag = (key: "logX" | "logY" | "robust" | "attempts", text: string, title: string) => {
    const made = toggle(text, title, state[key], (isOn) => change({ [key]: isOn }));
    onChange(() => made.setAttribute("aria-pressed", String(state[key])));
    return made;
  };
  const sizes = [
    { value: "s", text: "small" },
    { value: "m", text: "medium" },
    { value: "l", text: "large" },
  ];
  const size = select("size of charts", sizes, state.size, (value) => change({ size: value }));
  onChange(() => (size.value = state.size));
  const root = element(
    "div", { class: "toolbar" },
    search,
    makeX(metrics),
    flag("logX", "log x", "x by its logarithm"),
    flag("logY", "log y", "y by its logarithm (key: l)"),
    flag("robust", "clip", "y without the outermost percent of the points (key: o)"),
    makeSmoothing(),
    makeGroup(runs),
    flag("attempts", "attempts", "Older attempts of restarted runs, dotted"),
    makeRange(),
    element("span", { class: "space" }),
    size,
  );
  return { root, search };
}
