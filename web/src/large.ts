// A chart over the whole page, with what its lines come to.

import { ask, isAborted } from "./api";
import { Board, ChartCard } from "./chart_card";
import { colorOf } from "./colors";
import { element, replace } from "./dom";
import { formatNumber } from "./format";
import { change, Key, state } from "./state";
import { literal, literals } from "./words";

const FIELDS = ["count", "nan", "pinf", "ninf", "min", "max", "mean", "last"];
const ROWS_MAX = 500;

export class Large {
  readonly root: HTMLElement;
  private readonly title: HTMLElement;
  private readonly chart: HTMLElement;
  private readonly table: HTMLElement;
  private card: ChartCard | null = null;
  private request: AbortController | null = null;

  constructor(
    private readonly board: Board,
    private readonly order: () => string[],
  ) {
    const button = (text: string, title: string, click: () => void) =>
      element("button", { type: "button", title, label: title, click }, text);
    this.title = element("h2");
    this.chart = element("div", { class: "large-chart" });
    this.table = element("div", { class: "large-table" });
    this.root = element(
      "div", { class: "large", role: "dialog", label: "a chart, large" },
      element(
        "header", {},
        button("‹", "the chart before (key: [)", () => this.step(-1)),
        button("›", "the next chart (key: ])", () => this.step(1)),
        this.title,
        element("span", { class: "space" }),
        button("ask about it", "its query, in the query box", () => this.toQuery()),
        button("close", "Escape", () => change({ open: "" })),
      ),
      this.chart, this.table,
    );
    this.root.hidden = true;
    new ResizeObserver(() => this.resize()).observe(this.chart);
    board.runs.onShown(() => {
      if (this.card) this.refresh();
    });
  }

  get isOpen(): boolean {
    return !this.root.hidden;
  }

  step(by: number): void {
    const order = this.order();
    const at = order.indexOf(state.open);
    const next = order[(at + by + order.length) % order.length];
    if (next) change({ open: next });
  }

  private toQuery(): void {
    const range = state.from !== null && state.x === "step" ? ` | steps ${state.from}..${state.to}` : "";
    const runs = literals(this.board.runs.shown);
    change({ view: "query", open: "", query: `${literal(state.open)} @ ${runs}${range} | buckets 500` });
  }

  private resize(): void {
    const { clientWidth: width, clientHeight: height } = this.chart;
    if (width > 0 && height > 0) this.card?.resize(width, height);
  }

  follow(changed: ReadonlySet<Key>): void {
    const isWanted = state.view === "charts" && state.open !== "";
    this.root.hidden = !isWanted;
    if (!isWanted) {
      this.card?.destroy();
      this.card = null;
      return;
    }
    if (this.card?.metric !== state.open) this.open();
    else {
      this.card.follow(changed);
      if (changed.has("from") || changed.has("to")) void this.fill();
    }
  }

  private open(): void {
    this.card?.destroy();
    this.card = new ChartCard(this.board, state.open, state.open, { isBare: true });
    replace(this.title, state.open);
    replace(this.chart, this.card.root);
    this.resize();
    this.refresh();
  }

  refresh(): void {
    if (!this.card) return;
    void this.card.refresh();
    void this.fill();
  }

  // Of the range that is shown, so that zooming in tells of what is seen.
  private async fill(): Promise<void> {
    this.request?.abort();
    const request = (this.request = new AbortController());
    const runs = this.board.runs.shown.slice(0, ROWS_MAX);
    if (runs.length === 0) return replace(this.table);
    const range =
      state.from === null ? "" :
      state.x === "step" && !this.board.isTimed(state.open) ? ` | steps ${state.from}..${state.to}` :
      state.x === "time" ? ` | time ${state.from}us..${state.to}us` : "";
    const query = `${literal(state.open)} @ ${literals(runs)}${range} | summary ${FIELDS.join(", ")}`;
    try {
      const answer = await ask(query, request.signal);
      const head = element("tr", {}, ...["run", ...FIELDS].map((name) => element("th", {}, name)));
      const body = element("tbody");
      answer.texts("run").forEach((run, row) => {
        const swatch = element("span", { class: "swatch" });
        swatch.style.background = colorOf(run);
        const line = element("tr", {}, element("th", {}, swatch, run));
        for (const field of FIELDS) {
          const cell = answer.column(field)[row];
          const text = typeof cell === "number" ? formatNumber(cell) : String(cell ?? "");
          line.append(element("td", { class: "number" }, text));
        }
        line.addEventListener("mouseenter", () => this.board.runs.highlight(run));
        line.addEventListener("mouseleave", () => this.board.runs.highlight(""));
        body.append(line);
      });
      replace(this.table, element("table", { class: "grid" }, element("thead", {}, head), body));
    } catch (error) {
      if (!isAborted(error)) replace(this.table, (error as Error).message);
    }
  }
}
