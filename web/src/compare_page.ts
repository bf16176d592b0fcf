// What tells the shown runs apart: attributes that differ, last values, and the runs of a group as
// their mean within a band.

import { Answer, ask, isAborted } from "./api";
import { Board, ChartCard } from "./chart_card";
import { colorOf } from "./colors";
import { element, replace, select, toggle } from "./dom";
import { count, formatNumber } from "./format";
import { Metrics } from "./metrics";
import { change, Key, state } from "./state";
import { byName, finds, literals } from "./words";

const RUNS_MAX = 24; // columns of a table that can be read
const METRICS_MAX = 200; // rows of last values

type Table = Map<string, Map<string, string>>; // row, run, cell

export class ComparePage {
  readonly root: HTMLElement;
  private readonly bar: HTMLElement;
  private readonly charts: HTMLElement;
  private readonly tables: HTMLElement;
  private cards: ChartCard[] = [];
  private drawn = "";
  private request: AbortController | null = null;
  private attributes: string[] = [];

  constructor(
    private readonly board: Board,
    private readonly metrics: Metrics,
  ) {
    this.bar = element("div", { class: "toolbar" });
    this.charts = element("div", { class: "pair" });
    this.tables = element("div", { class: "tables" });
    this.root = element("main", { class: "compare" }, this.bar, this.charts, this.tables);
    new ResizeObserver(() => this.resize()).observe(this.charts);
    metrics.onList(() => this.enter());
    board.runs.onShown(() => this.enter());
  }

  private get metric(): string {
    if (this.metrics.isTimed.has(state.open)) return state.open;
    const { names } = this.metrics;
    return names.find((name) => /val.*loss/.test(name)) ?? names.find((name) => /loss/.test(name)) ?? names[0] ?? "";
  }

  // By what the runs differ most usefully: an attribute with a few values.
  private get group(): string {
    return state.group || this.attributes.find((name) => !/seed/.test(name)) || "state";
  }

  enter(): void {
    if (state.view !== "compare") return;
    void this.refresh();
  }

  private drawBar(): void {
    const metrics = this.metrics.names.slice(0, 3000).map((value) => ({ value, text: value }));
    const groups = [...new Set([this.group, ...this.attributes, "state"])].map((value) => ({
      value,
      text: `by ${value}`,
    }));
    replace(
      this.bar,
      select("metric", metrics, this.metric, (open) => change({ open })),
      select("what groups have in common", groups, this.group, (group) => change({ group })),
      toggle("differing alone", "Only attributes that differ", state.differing, (differing) =>
        change({ differing }),
      ),
    );
  }

  private drawCharts(): void {
    const key = `${this.metric}\n${this.group}`;
    if (key === this.drawn) return;
    this.drawn = key;
    for (const card of this.cards) card.destroy();
    if (!this.metric) return replace(this.charts);
    this.cards = [
      new ChartCard(this.board, this.metric, `${this.metric}: the shown runs`, { group: "" }),
      new ChartCard(this.board, this.metric, `all runs of the list: mean and extremes by ${this.group}`, {
        group: this.group,
      }),
    ];
    replace(this.charts, ...this.cards.map((card) => card.root));
    this.resize();
    for (const card of this.cards) void card.refresh();
  }

  private resize(): void {
    const width = Math.floor((this.charts.clientWidth - 10) / 2);
    if (width > 0) for (const card of this.cards) card.resize(width, 260);
  }

  async refresh(): Promise<void> {
    this.request?.abort();
    const request = (this.request = new AbortController());
    const runs = this.board.runs.shown.slice(0, RUNS_MAX);
    if (runs.length === 0) return replace(this.tables, "No run is shown.");
    const names = this.metrics.names.filter(finds(state.metrics)).slice(0, METRICS_MAX);
    try {
      const [attributes, summary] = await Promise.all([
        ask(`attributes ${literals(runs)}`, request.signal),
        names.length > 0
          ? ask(`${literals(names)} @ ${literals(runs)} | summary count, nan, last`, request.signal)
          : null,
      ]);
      this.draw(runs, attributes, summary);
    } catch (error) {
      if (!isAborted(error)) replace(this.tables, (error as Error).message);
    }
  }

  private draw(runs: string[], attributes: Answer, summary: Answer | null): void {
    const table: Table = new Map();
    const [run, name, value] = ["run", "attribute", "value"].map((n) => attributes.texts(n));
    for (let row = 0; row < attributes.rows; ++row) {
      const cells = table.get(name![row]!) ?? new Map<string, string>();
      // Of times the second is enough here.
      const text = (value![row] ?? "null").replace(/^(\d{4}-\d\d-\d\d)T([\d:]{8})(\.\d+)?Z$/, "$1 $2 UTC");
      cells.set(run![row]!, text);
      table.set(name![row]!, cells);
    }
    const isDiffering = (cells: Map<string, string>) =>
      new Set(runs.map((one) => cells.get(one))).size > 1;
    this.attributes = [...table]
      .filter(([key, cells]) => !key.startsWith("sys/") && isDiffering(cells))
      .sort(([, a], [, b]) => new Set(a.values()).size - new Set(b.values()).size)
      .map(([key]) => key);
    this.drawBar();
    this.drawCharts();
    const rows = [...table]
      .filter(([, cells]) => !state.differing || runs.length === 1 || isDiffering(cells))
      .sort(([a], [b]) => Number(a.startsWith("sys/")) - Number(b.startsWith("sys/")) || byName(a, b));
    const more = this.board.runs.shown.length - runs.length;
    replace(
      this.tables,
      element("h2", {}, `Attributes (${count(rows.length, "row")})`),
      drawTable(runs, rows, (cells) => !state.differing && isDiffering(cells)),
      element("h2", {}, "Last values"),
      summary && drawTable(runs, lastValues(summary), () => false, true),
      more > 0 && element("p", { class: "faint" }, `${count(more, "more run")} shown in charts alone`),
    );
    this.root.dataset["drawn"] = "true";
  }

  follow(changed: ReadonlySet<Key>): void {
    if (state.view !== "compare") return;
    if (["view", "metrics", "differing", "open", "group"].some((key) => changed.has(key as Key))) {
      void this.refresh();
    }
    for (const card of this.cards) card.follow(changed);
  }

  refreshCharts(): void {
    for (const card of this.cards) void card.refresh();
  }
}

function lastValues(summary: Answer): [string, Map<string, string>][] {
  const table: Table = new Map();
  const [run, metric] = ["run", "metric"].map((name) => summary.texts(name));
  const [last, nan] = ["last", "nan"].map((name) => summary.column(name));
  for (let row = 0; row < summary.rows; ++row) {
    const cells = table.get(metric![row]!) ?? new Map<string, string>();
    const value = last![row];
    const text = value === null ? "" : typeof value === "number" ? formatNumber(value) : String(value);
    const many = Number(nan![row] ?? 0);
    cells.set(run![row]!, many > 0 ? `${text}  (${many} × NaN)` : text);
    table.set(metric![row]!, cells);
  }
  return [...table];
}

function drawTable(
  runs: string[],
  rows: [string, Map<string, string>][],
  isMarked: (cells: Map<string, string>) => boolean,
  isNumbers = false,
): HTMLElement {
  const head = element("tr", {}, element("th", {}));
  for (const run of runs) {
    const swatch = element("span", { class: "swatch" });
    swatch.style.background = colorOf(run);
    head.append(element("th", { title: run }, swatch, run.slice(run.indexOf("/") + 1)));
  }
  const body = element("tbody");
  for (const [name, cells] of rows) {
    const row = element("tr", { class: isMarked(cells) ? "differs" : "" }, element("th", {}, name));
    for (const run of runs) {
      const text = cells.get(run) ?? "–";
      row.append(element("td", { class: isNumbers ? "number" : "", title: text }, text));
    }
    body.append(row);
  }
  return element("div", { class: "scroller" }, element("table", { class: "grid" }, element("thead", {}, head), body));
}
