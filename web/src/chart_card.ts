// A chart with its title: asks for what its width can show, and draws the answer.

import { ask, askPacked, isAborted, QueryError } from "./api";
import { ChartData, groupsData, hasLeftOut, isEmpty, runsData } from "./chart_data";
import { chartQuery, CLASSES, groupQuery, hasRange, kindOfX, Wanted, XKind } from "./chart_query";
import { element, replace } from "./dom";
import { NoteMark } from "./drawing";
import { Plot } from "./plot";
import { Runs } from "./runs";
import { change, Key, state } from "./state";
import { hideTooltip, nearestLine, showTooltip } from "./tooltip";

const HEAD = 26; // pixels of the title
const CACHE_ROWS_MAX = 1_500_000; // of answers that are drawn at once when their chart comes back: 120 MB

// What is shared by the charts of a page.
export interface Board {
  runs: Runs;
  isTimed: (metric: string) => boolean;
  cards: Set<ChartCard>;
}

export interface Look {
  isBare?: boolean; // without a title
  group?: string; // an attribute, or nothing: whatever the page says
}

const cache = new Map<string, ChartData>();
let cachedRows = 0;

function rowsOf(data: ChartData | undefined): number {
  return data ? data.lines.length * data.lo.length : 0;
}

function remember(key: string, data: ChartData): void {
  cachedRows += rowsOf(data) - rowsOf(cache.get(key));
  cache.delete(key);
  cache.set(key, data);
  for (const oldest of cache.keys()) {
    if (cachedRows <= CACHE_ROWS_MAX) break;
    cachedRows -= rowsOf(cache.get(oldest));
    cache.delete(oldest);
  }
}

// What needs an answer of its own, when it changes.
export const ASKS: readonly Key[] = [
  "x", "logX", "smoothing", "from", "to", "group", "attempts",
];

export class ChartCard {
  readonly root: HTMLElement;
  private readonly body: HTMLElement;
  private readonly said: HTMLElement;
  private readonly note: HTMLElement; // what an answer says it has left out
  private plot: Plot | null = null;
  private plotKind = "";
  private data: ChartData | null = null;
  private request: AbortController | null = null;
  private width = 0;
  private height = 0;
  private isGone = false;
  private answers = 0;

  constructor(
    private readonly board: Board,
    readonly metric: string,
    title: string,
    private readonly look: Look = {},
  ) {
    this.said = element("div", { class: "said" });
    this.body = element("div", { class: "plot" });
    const open = element(
      "button",
      { type: "button", class: "icon", title: "Show it large", label: `show ${metric} large` },
      "⤢",
    );
    open.addEventListener("click", () => change({ open: metric }));
    const name = element("h3", { title: metric }, title);
    this.note = element("span", { class: "badge note" }, "!");
    this.note.hidden = true;
    const head = element("header", {}, name, this.note, open);
    this.root = element("section", { class: "card" }, !look.isBare && head, this.body, this.said);
    this.root.dataset["metric"] = metric;
    board.cards.add(this);
  }

  place(left: number, top: number, width: number, height: number): void {
    this.root.style.transform = `translate(${left}px, ${top}px)`;
    this.resize(width, height);
  }

  resize(width: number, height: number): void {
    const isOther = width !== this.width;
    [this.width, this.height] = [width, height];
    this.root.style.width = `${width}px`;
    this.root.style.height = `${height}px`;
    this.plot?.resize(width - 2, this.plotHeight);
    if (isOther && this.plot) void this.refresh();
  }

  private get plotHeight(): number {
    return this.height - (this.look.isBare ? 0 : HEAD) - 4;
  }

  private get group(): string {
    return this.look.group ?? state.group;
  }

  private wanted(): Wanted {
    const { runs } = this.board;
    const names = state.attempts
      ? runs.shown.flatMap((name) => {
          const attempts = runs.ancestry.get(name)?.attempts ?? [];
          return [...attempts.slice(0, -1).map((one) => `${name}#${one}`), name];
        })
      : [...runs.shown];
    return {
      metric: this.metric,
      isTimed: this.board.isTimed(this.metric),
      runs: names,
      width: Math.max(60, (this.plot?.plotWidth ?? this.width - 60) || 200),
    };
  }

  // Asks anew, and draws when the answer is there; what is on the screen stays until then.
  async refresh(): Promise<void> {
    this.request?.abort();
    const request = (this.request = new AbortController());
    const wanted = this.wanted();
    const { group } = this;
    if (wanted.runs.length === 0 && !group) return this.say("No run is shown.");
    const kind = kindOfX(state, wanted.isTimed);
    const query = group ? groupQuery(state, wanted, group) : chartQuery(state, wanted);
    const smooth =
      !group && state.smoothing > 0 ? chartQuery(state, wanted, state.smoothing) : "";
    const key = `${query}\n${smooth}`;
    const known = cache.get(key);
    if (known && !this.data) this.show(known);
    try {
      const [answer, smoothed] = await Promise.all([
        group ? ask(query, request.signal) : askPacked(query, request.signal),
        smooth ? askPacked(smooth, request.signal) : null,
      ]);
      // What a mean leaves out is asked for where there is any, since that is seldom.
      const classes =
        group && hasLeftOut(answer)
          ? await Promise.all(
              CLASSES.map((one) => ask(groupQuery(state, wanted, group, one), request.signal)),
            )
          : [];
      const data = group ? groupsData(answer, kind, classes) : runsData(answer, smoothed, kind);
      remember(key, data);
      if (!this.isGone) this.show(data);
    } catch (error) {
      if (!isAborted(error) && !this.isGone) this.fail(error);
    }
  }

  private fail(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    const isAbsent = error instanceof QueryError && /there is no metric/.test(text);
    this.data = null;
    this.say(isAbsent ? "None of the shown runs has it." : text);
  }

  private say(text: string): void {
    if (this.said.textContent !== text) replace(this.said, text);
    this.root.classList.toggle("silent", text !== "");
    this.root.dataset["drawn"] = "true";
  }

  private show(data: ChartData): void {
    this.data = data;
    this.say(
      data.lines.length === 0 || isEmpty(data) ? data.notes[0] ?? "No points in this range." : "",
    );
    this.note.hidden = data.notes.length === 0;
    this.note.title = data.notes.join("\n");
    this.makePlot(data.kind);
    this.plot!.show(data, this.range(data));
    this.root.dataset["drawn"] = "true";
    this.root.dataset["lines"] = String(data.lines.length);
    // For those who watch the page from outside: tests and benches.
    this.root.dataset["answers"] = String(++this.answers);
  }

  private range(data: ChartData): [number, number] {
    const unit = data.kind === "time" ? 1e6 : 1;
    if (hasRange(state, this.board.isTimed(this.metric))) {
      return [state.from! / unit, state.to! / unit];
    }
    return data.lo.length > 0 ? [data.lo[0]!, data.hi[data.hi.length - 1]!] : [0, 1];
  }

  private makePlot(kind: XKind): void {
    const look = JSON.stringify([kind, state.logX, state.logY, state.robust]);
    if (this.plot && this.plotKind === look) return;
    this.plot?.destroy();
    this.plotKind = look;
    const options = { logX: state.logX, logY: state.logY, robust: state.robust };
    this.plot = new Plot(this.body, kind, this.width - 2, this.plotHeight, options, {
      zoom: (from, to) => this.zoom(from, to),
      reset: () => change({ from: null, to: null }),
      cursor: (x, top) => this.cursor(x, top),
      highlighted: () => this.board.runs.highlighted,
      forkSteps: () => this.forkSteps(),
      notes: () => this.notes(),
    });
  }

  private zoom(from: number, to: number): void {
    if (!this.data || !(to > from)) return;
    const isTimed = this.board.isTimed(this.metric);
    const unit = this.data.kind === "time" ? 1e6 : 1;
    if (isTimed && state.x === "step") {
      // A range of times is none of steps: from here on all charts are over time.
      change({ x: "time", from: Math.floor(from * unit), to: Math.ceil(to * unit) });
      return;
    }
    const isWhole = state.x === "time" || (state.x === "step" && to - from > 20);
    change({
      from: isWhole ? Math.floor(from * unit) : from * unit,
      to: isWhole ? Math.ceil(to * unit) : to * unit,
    });
  }

  // At once with what is there, exactly when the answer comes.
  follow(changed: ReadonlySet<Key>): void {
    const isRangeAlone = [...changed].every((key) => key === "from" || key === "to");
    if (isRangeAlone && this.plot && this.data) this.plot.showRange(this.range(this.data));
    if (ASKS.some((key) => changed.has(key))) void this.refresh();
    else if ((changed.has("logY") || changed.has("robust")) && this.data) this.show(this.data);
    else if (changed.has("colors")) this.redraw();
  }

  private forkSteps(): Map<string, number> {
    const found = new Map<string, number>();
    if (state.x !== "step" || this.group || this.board.isTimed(this.metric)) return found;
    for (const [run, { forkStep }] of this.board.runs.ancestry) {
      if (forkStep !== undefined) found.set(run, forkStep);
    }
    return found;
  }

  // Those that have a place on this axis.
  private notes(): NoteMark[] {
    if (!this.data || this.group) return [];
    const shown = new Set(this.data.lines.map((line) => line.label));
    const isTime = this.data.kind === "time";
    const found: NoteMark[] = [];
    for (const { run, step, time, text } of this.board.runs.notes) {
      const x = isTime ? (time === null ? null : time / 1e6) : state.x === "step" ? step : null;
      if (x !== null && shown.has(run)) found.push({ run, x, text });
    }
    return found;
  }

  private cursor(x: number | null, top: number): void {
    for (const card of this.board.cards) {
      if (card !== this) card.plot?.showCrosshair(x !== null && card.kind === this.kind ? x : null);
    }
    if (x === null || !this.data || !this.plot) {
      hideTooltip();
      this.board.runs.highlight("");
      return;
    }
    const topOf = (value: number) => this.plot!.topOf(value);
    const rect = this.plot.plotRect;
    const left = this.plot.leftOf(x);
    const near = this.notes().filter((note) => Math.abs(this.plot!.leftOf(note.x) - left) < 6);
    showTooltip(this.data, x, top, rect, left, topOf, near);
    this.board.runs.highlight(
      this.data.lines.length > 1 ? nearestLine(this.data, x, top, topOf) : "",
    );
  }

  get kind(): string {
    return this.data?.kind ?? "";
  }

  redraw(): void {
    this.plot?.redraw();
  }

  // After the colours of the page have changed, those of the axes too.
  restyle(): void {
    this.plotKind = "";
    if (this.data) this.show(this.data);
  }

  destroy(): void {
    this.isGone = true;
    hideTooltip();
    this.request?.abort();
    this.plot?.destroy();
    this.root.remove();
    this.board.cards.delete(this);
  }
}
