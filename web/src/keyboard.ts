// What keys do, and the sheet that tells.

import { element } from "./dom";
import { change, state, View } from "./state";

export interface Keys {
  search: HTMLElement;
  runs: HTMLElement;
  large: { isOpen: boolean; step: (by: number) => void };
  theme: () => void;
  pause: () => void;
}

const SHEET: [string, string][] = [
  ["1 2 3 4", "charts, layers, compare, query"],
  ["/", "search metrics"],
  ["r", "filter runs"],
  ["drag", "zoom; the answer is exact at every width"],
  ["shift + drag", "move along x"],
  ["ctrl + wheel", "zoom at the pointer"],
  ["← →", "move along x"],
  ["+ −", "zoom in and out"],
  ["0, double click", "the whole range"],
  ["[ ]", "the chart before, the next one, when one is large"],
  ["l", "y by its logarithm"],
  ["o", "clip the outermost percent"],
  ["space", "pause and go on following live runs"],
  ["t", "dark, light"],
  ["click a run", "hide or show; alt-click: this one alone; shift-click: another colour"],
  ["esc", "close, leave the box"],
  ["?", "this sheet"],
];

export function makeSheet(): HTMLDialogElement {
  const table = element("table");
  for (const [key, text] of SHEET) {
    table.append(element("tr", {}, element("th", {}, element("kbd", {}, key)), element("td", {}, text)));
  }
  const close = element("button", { type: "button" }, "close");
  const sheet = element("dialog", { class: "sheet", label: "keys" }, element("h2", {}, "Keys"), table, close);
  close.addEventListener("click", () => sheet.close());
  document.body.append(sheet);
  return sheet;
}

function zoomBy(factor: number, shift: number): void {
  if (state.from === null || state.to === null) return;
  const { from, to } = state;
  const middle = (from + to) / 2 + (to - from) * shift;
  const half = ((to - from) / 2) * factor;
  const isWhole = state.x === "step" || state.x === "time";
  const whole = (x: number) => (isWhole && to - from > 20 ? Math.round(x) : x);
  change({ from: whole(middle - half), to: whole(middle + half) });
}

const VIEWS: View[] = ["charts", "layers", "compare", "query"];

export function listenToKeys(keys: Keys, sheet: HTMLDialogElement): void {
  const actions: Record<string, () => void> = {
    "/": () => keys.search.focus(),
    r: () => keys.runs.focus(),
    l: () => change({ logY: !state.logY }),
    o: () => change({ robust: !state.robust }),
    t: keys.theme,
    " ": keys.pause,
    "0": () => change({ from: null, to: null }),
    "?": () => (sheet.open ? sheet.close() : sheet.showModal()),
    "[": () => keys.large.isOpen && keys.large.step(-1),
    "]": () => keys.large.isOpen && keys.large.step(1),
    ArrowLeft: () => zoomBy(1, -0.25),
    ArrowRight: () => zoomBy(1, 0.25),
    "+": () => zoomBy(0.5, 0),
    "=": () => zoomBy(0.5, 0),
    "-": () => zoomBy(2, 0),
  };
  VIEWS.forEach((view, at) => (actions[String(at + 1)] = () => change({ view, open: "" })));
  document.addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    const isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
    if (event.key === "Escape") {
      if (isTyping) {
        event.preventDefault(); // a search box would be emptied
        target.blur();
      } else if (state.open) change({ open: "" });
      return;
    }
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    // A button that has the focus keeps its space bar.
    if (event.key === " " && target.tagName === "BUTTON") return;
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
