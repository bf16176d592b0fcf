// The list of runs: only the rows on the screen exist, however many there are.

import { QueryError } from "./api";
import { colorOf, COLORS_COUNT, placeOf } from "./colors";
import { groupKey } from "./chart_data";
import { Completion, knownAttributes, knownWords } from "./completion";
import { element, replace, select, settled } from "./dom";
import { count, formatAge, formatNumber, formatTime } from "./format";
import { Metrics } from "./metrics";
import { Run, Runs } from "./runs";
import { change, onChange, state } from "./state";
import { groupOf } from "./words";

const ROW = 24; // pixels
const WIDTH = 300; // of the list
const CELL = 81; // and of each column more
const SPARE = 12; // rows above and below the screen

const STATES: Record<string, string> = {
  running: "running",
  finished: "finished",
  failed: "failed",
  stale: "stale: no sign of life for 5 minutes",
};

// A run, or the title of a group of them.
interface Group {
  title: string;
  key: string; // of its colour
  many: number;
}
type Entry = Run | Group;

function isRun(entry: Entry): entry is Run {
  return "state" in entry;
}

export class RunsPanel {
  readonly root: HTMLElement;
  readonly filter: HTMLInputElement;
  private readonly said: HTMLElement;
  private readonly head: HTMLElement;
  private readonly list: HTMLElement;
  private readonly rows: HTMLElement;
  private readonly many: HTMLElement;
  private readonly columnsBox: HTMLElement;
  private frame = 0;
  private entries: Entry[] = [];

  constructor(
    private readonly runs: Runs,
    metrics: Metrics,
  ) {
    this.filter = element("input", {
      type: "search",
      placeholder: "Runs: a name, or sweep/* where config/lr > 1e-3",
      label: "filter of runs, in the query language",
      title: "A part of a name, or runs of the query language: sweep/* where config/lr > 1e-3 (key: r)",
      value: state.runs,
    });
    this.filter.spellcheck = false;
    this.filter.addEventListener(
      "input",
      settled(220, () => change({ runs: this.filter.value })),
    );
    new Completion(this.filter, knownWords(runs, metrics), () => change({ runs: this.filter.value }));
    this.said = element("div", { class: "error" });
    this.many = element("span", { class: "many" });
    this.head = element("div", { class: "runs-head" });
    this.rows = element("div", { class: "rows" });
    this.list = element("div", { class: "runs-list", role: "list", label: "runs" }, this.rows);
    this.list.tabIndex = 0;
    this.columnsBox = this.makeColumns();
    const bar = element("div", { class: "runs-bar" }, this.many, this.makeShown());
    this.root = element(
      "aside", { class: "runs" },
      this.filter, this.said, bar, this.columnsBox, this.head, this.list,
    );
    this.listen();
  }

  private listen(): void {
    this.list.addEventListener("scroll", () => this.soon());
    this.list.addEventListener("click", (event) => this.clicked(event));
    this.list.addEventListener("mouseover", (event) => this.runs.highlight(runAt(event)));
    this.list.addEventListener("mouseleave", () => this.runs.highlight(""));
    new ResizeObserver(() => this.soon()).observe(this.list);
    this.runs.onList(() => this.draw());
    this.runs.onShown(() => this.draw());
    this.runs.onHighlight(() => this.mark());
    onChange((changed) => {
      if (changed.has("runs") && document.activeElement !== this.filter) {
        this.filter.value = state.runs;
      }
      if (changed.has("colors") || changed.has("columns") || changed.has("sort")) this.draw();
    });
  }

  private makeShown(): HTMLElement {
    const choices = [0, 1, 5, 10, 20, 50, 100, 200, 500].map((n) => ({
      value: String(n),
      text: n === 0 ? "pins" : String(n),
    }));
    const made = select("how many runs are charted", choices, String(state.shown), (value) =>
      change({ shown: Number(value) }),
    );
    onChange(() => (made.value = String(state.shown)));
    const all = element("button", { type: "button", title: "Show the hidden ones again" }, "unhide");
    all.addEventListener("click", () => change({ hidden: [] }));
    onChange(() => (all.hidden = state.hidden.length === 0));
    all.hidden = state.hidden.length === 0;
    const columns = element(
      "button", { type: "button", title: "Columns of attributes and statistics" }, "columns",
    );
    columns.addEventListener("click", () => {
      this.columnsBox.hidden = !this.columnsBox.hidden;
      if (!this.columnsBox.hidden) this.columnsBox.querySelector("input")!.focus();
    });
    return element("div", { class: "right" }, all, columns, element("label", {}, "chart ", made));
  }

  private makeColumns(): HTMLElement {
    const input = element("input", {
      placeholder: "config/lr  or  min(val/loss)",
      label: "a column to add: an attribute or an expression of the query language",
    });
    input.spellcheck = false;
    new Completion(input, knownAttributes(this.runs));
    const form = element("form", { class: "columns" }, input, element("button", {}, "add"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const column = input.value.trim();
      if (column && !state.columns.includes(column)) change({ columns: [...state.columns, column] });
      input.value = "";
    });
    form.hidden = true;
    return form;
  }

  private soon(): void {
    if (this.frame === 0) {
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        this.drawRows();
      });
    }
  }

  draw(): void {
    const { list, isComplete, shown, error } = this.runs;
    const about = isComplete ? count(list.length, "run") : `first ${count(list.length, "run")}`;
    replace(this.many, about);
    this.many.title = `${about}, ${shown.length} charted`;
    this.sayError(error);
    const width = `${Math.min(WIDTH + CELL * state.columns.length, 720)}px`;
    if (this.root.dataset["width"] !== width) {
      // Whoever has drawn it wider or narrower keeps that until there are other columns.
      this.root.dataset["width"] = width;
      this.root.style.width = width;
    }
    this.entries = groupOf(state.group) ? this.grouped() : list;
    this.drawHead();
    this.drawRows();
  }

  // Pinned runs stay at the top, outside of groups.
  private grouped(): Entry[] {
    const entries: Entry[] = [];
    let last = null as Group | null;
    for (const run of this.runs.list) {
      if (!state.pinned.includes(run.name)) {
        const key = groupKey(state.group, run.group);
        if (last?.key !== key) {
          last = { title: key.slice(6), key, many: 0 };
          entries.push(last);
        }
        ++last.many;
      }
      entries.push(run);
    }
    return entries;
  }

  private sayError(error: unknown): void {
    // Behind its first line is the query with the place marked, of which the filter is a part.
    const text = error instanceof Error ? error.message.split("\n")[0]! : "";
    replace(this.said, text);
    this.filter.setAttribute("aria-invalid", String(error instanceof QueryError));
  }

  private drawHead(): void {
    const heads = ["run", ...state.columns].map((expression, index) => {
      const isSorted = state.sort === expression || state.sort === `${expression} desc`;
      const mark = isSorted ? (state.sort.endsWith(" desc") ? " ↓" : " ↑") : "";
      const head = element(
        "button",
        { type: "button", class: index === 0 ? "name" : "cell", title: `Sort by ${expression}` },
        expression + mark,
      );
      head.addEventListener("click", () => change({ sort: nextSort(expression) }));
      if (index === 0) return head;
      const drop = element("button", { type: "button", class: "icon drop", title: "Remove" }, "×");
      drop.addEventListener("click", () =>
        change({
          columns: state.columns.filter((column) => column !== expression),
          ...(isSorted ? { sort: "created desc" } : {}),
        }),
      );
      return element("span", { class: "cell" }, head, drop);
    });
    replace(this.head, ...heads);
  }

  private drawRows(): void {
    const list = this.entries;
    this.rows.style.height = `${list.length * ROW}px`;
    const first = Math.max(0, Math.floor(this.list.scrollTop / ROW) - SPARE);
    const last = Math.min(
      list.length,
      Math.ceil((this.list.scrollTop + this.list.clientHeight) / ROW) + SPARE,
    );
    const shown = new Set(this.runs.shown);
    // A row that stays as it is stays itself: it may be under a finger that has just gone down.
    const kept = new Map<string, Element>();
    for (const row of this.rows.children) kept.set((row as HTMLElement).dataset["look"]!, row);
    const rows: Element[] = [];
    for (let at = first; at < last; ++at) {
      const entry = list[at]!;
      const look = isRun(entry) ? this.look(entry, at, shown) : JSON.stringify([entry, at]);
      const row = kept.get(look) ?? (isRun(entry) ? this.row(entry, at, shown) : title(entry, at));
      (row as HTMLElement).dataset["look"] = look;
      rows.push(row);
    }
    const isSame = rows.length === this.rows.children.length && rows.every((row) => row.isConnected);
    if (!isSame) replace(this.rows, ...rows);
    this.mark();
    if (last > list.length - 50) this.runs.more();
  }

  private mark(): void {
    for (const row of this.rows.children) {
      row.classList.toggle(
        "highlighted",
        (row as HTMLElement).dataset["run"] === this.runs.highlighted,
      );
    }
  }

  // Of its line: where lines are of groups, that of its group.
  private color(run: Run): string {
    return colorOf(groupOf(state.group) ? groupKey(state.group, run.group) : run.name);
  }

  // All that a row shows.
  private look(run: Run, at: number, shown: Set<string>): string {
    const color = shown.has(run.name) ? this.color(run) : "";
    const parent = this.runs.ancestry.get(run.name)?.parent;
    return JSON.stringify([run, at, color, parent, state.pinned.includes(run.name)]);
  }

  private row(run: Run, at: number, shown: Set<string>): HTMLElement {
    const isShown = shown.has(run.name);
    const swatch = element("button", {
      type: "button",
      class: "eye",
      title: isShown ? "Hide (alt-click: this one alone)" : "Show",
      label: `${isShown ? "hide" : "show"} ${run.name}`,
    });
    if (isShown) swatch.style.background = this.color(run);
    const isPinned = state.pinned.includes(run.name);
    const pin = element("button", {
      type: "button",
      class: `icon pin${isPinned ? " on" : ""}`,
      title: isPinned ? "Unpin" : "Pin: first in the list, and always charted",
      label: `${isPinned ? "unpin" : "pin"} ${run.name}`,
    }, isPinned ? "◆" : "◇");
    const { parent } = this.runs.ancestry.get(run.name) ?? {};
    const row = element(
      "div",
      { class: `row${isShown ? " shown" : ""}`, role: "listitem", title: describe(run, parent) },
      swatch,
      element("span", { class: `state ${run.state}`, label: STATES[run.state] ?? run.state, role: "img" }),
      element("span", { class: "name" }, run.name),
      parent ? element("span", { class: "badge", title: `fork of ${parent}` }, "fork") : null,
      run.attempts > 1 ? element("span", { class: "badge" }, `#${run.attempts - 1}`) : null,
      pin,
      ...run.cells.map((cell) => element("span", { class: "cell" }, cellText(cell))),
    );
    row.dataset["run"] = run.name;
    row.style.transform = `translateY(${at * ROW}px)`;
    return row;
  }

  private clicked(event: MouseEvent): void {
    const name = runAt(event);
    if (!name) return;
    const target = event.target as HTMLElement;
    if (target.classList.contains("pin")) this.pin(name);
    else if (event.altKey || event.detail === 2) this.only(name);
    else if (event.shiftKey) this.recolor(name);
    else this.flip(name);
  }

  private pin(name: string): void {
    const isPinned = state.pinned.includes(name);
    change({
      pinned: isPinned ? state.pinned.filter((one) => one !== name) : [...state.pinned, name],
      hidden: state.hidden.filter((one) => one !== name),
    });
  }

  // Beyond the first ones of the list, which are shown unless hidden, what is shown is pinned.
  private flip(name: string): void {
    const isShown = this.runs.shown.includes(name);
    if (!isShown && !state.hidden.includes(name)) return this.pin(name);
    change({
      hidden: isShown ? [...state.hidden, name] : state.hidden.filter((one) => one !== name),
    });
  }

  private only(name: string): void {
    change({ pinned: [name], shown: 0, hidden: [] });
  }

  private recolor(name: string): void {
    const next = (placeOf(name) + 1) % COLORS_COUNT;
    const others = state.colors.filter((one) => !one.startsWith(`${name}=`));
    change({ colors: [...others, `${name}=${next}`] });
  }
}

function title(entry: Group, at: number): HTMLElement {
  const swatch = element("span", { class: "swatch" });
  swatch.style.background = colorOf(entry.key);
  const row = element(
    "div", { class: "row title" },
    swatch, element("b", {}, entry.title), element("span", { class: "many" }, String(entry.many)),
  );
  row.style.transform = `translateY(${at * ROW}px)`;
  return row;
}

function runAt(event: Event): string {
  const row = (event.target as HTMLElement).closest<HTMLElement>("[data-run]");
  return row?.dataset["run"] ?? "";
}

function nextSort(expression: string): string {
  if (state.sort === expression) return `${expression} desc`;
  return state.sort === `${expression} desc` ? "created desc" : expression;
}

function describe(run: Run, parent?: string): string {
  const lines = [run.name, STATES[run.state] ?? run.state];
  if (run.created !== null) {
    const age = Date.now() / 1000 - run.created / 1e6;
    lines.push(`created ${formatTime(run.created)}, ${formatAge(age)} ago`);
  }
  lines.push(count(run.metrics, "metric"));
  if (run.attempts > 1) lines.push(count(run.attempts, "attempt"));
  if (parent) lines.push(`fork of ${parent}`);
  return lines.join("\n");
}

export function cellText(cell: unknown): string {
  if (cell === null || cell === undefined) return "";
  return typeof cell === "number" ? formatNumber(cell) : String(cell);
}
