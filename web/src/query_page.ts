// A box for the whole query language; the answer as a table, and as a chart where it is one.

import { Answer, ask, Cell, isAborted, QueryError } from "./api";
import { Completion, knownWords } from "./completion";
import { element, replace } from "./dom";
import { count, formatTime } from "./format";
import { Metrics } from "./metrics";
import { Plot } from "./plot";
import { queryData } from "./query_data";
import { Runs } from "./runs";
import { change, Key, state } from "./state";
import { hideTooltip, showTooltip } from "./tooltip";
import { withRange } from "./words";

const ROW = 22;
const EXAMPLES = [
  "runs | show state, created, metrics | sort created desc | limit 20",
  "projects",
  "stats",
];
const PAST = "stepdb-queries";
const PAST_MAX = 50;

export class QueryPage {
  readonly root: HTMLElement;
  readonly box: HTMLTextAreaElement;
  private readonly said: HTMLElement;
  private readonly chart: HTMLElement;
  private readonly table: HTMLElement;
  private plot: Plot | null = null;
  private request: AbortController | null = null;
  private answered = "";
  private zoomed: { from: string; to: string } | null = null; // a query, and what zooming made of it
  private past: string[];
  private place = -1; // in the past

  constructor(runs: Runs, metrics: Metrics) {
    this.past = JSON.parse(localStorage.getItem(PAST) ?? "[]") as string[];
    this.box = element("textarea", {
      placeholder: "train/loss @ sweep/* where config/lr > 1e-3 | ema 0.98 | buckets 300",
      label: "a query",
      value: state.query,
    });
    new Completion(this.box, knownWords(runs, metrics));
    this.box.rows = 3;
    this.box.spellcheck = false;
    this.box.addEventListener("keydown", (event) => this.typed(event));
    const run = element("button", { type: "button", class: "primary", title: "Ctrl+Enter" }, "Ask");
    run.addEventListener("click", () => this.submit());
    const examples = EXAMPLES.map((text) => {
      const made = element("button", { type: "button", class: "example" }, text);
      made.addEventListener("click", () => this.submit((this.box.value = text)));
      return made;
    });
    this.said = element("div", { class: "readout", role: "status" });
    this.chart = element("div", { class: "card answer-chart" });
    this.table = element("div", { class: "answer" });
    this.root = element(
      "main", { class: "query" },
      element("div", { class: "ask" }, this.box, run),
      element("div", { class: "examples" }, ...examples),
      this.said, this.chart, this.table,
    );
    this.chart.hidden = true;
  }

  enter(): void {
    if (state.view !== "query") return;
    if (this.box.value.trim() === "" || document.activeElement !== this.box) {
      this.box.value = state.query;
    }
    if (state.query && state.query !== this.answered) void this.answer();
    this.box.focus({ preventScroll: true });
  }

  follow(changed: ReadonlySet<Key>): void {
    if (changed.has("view") || changed.has("query")) this.enter();
  }

  private typed(event: KeyboardEvent): void {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.submit();
    } else if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
      event.preventDefault();
      this.place += event.key === "ArrowUp" ? 1 : -1;
      this.place = Math.max(-1, Math.min(this.past.length - 1, this.place));
      if (this.place >= 0) this.box.value = this.past[this.place]!;
    }
  }

  private submit(text = this.box.value): void {
    const query = text.trim();
    if (query === "") return;
    this.past = [query, ...this.past.filter((one) => one !== query)].slice(0, PAST_MAX);
    localStorage.setItem(PAST, JSON.stringify(this.past));
    this.place = -1;
    if (query === state.query) void this.answer();
    else change({ query });
  }

  private async answer(): Promise<void> {
    this.request?.abort();
    const request = (this.request = new AbortController());
    this.answered = state.query;
    const begun = performance.now();
    try {
      const answer = await ask(state.query, request.signal);
      const all = performance.now() - begun;
      const times = `${answer.milliseconds.toFixed(1)} ms in the server, ${all.toFixed(0)} ms in all`;
      replace(
        this.said,
        `${count(answer.rows, "row")}, ${times}`,
        ...answer.notes.map((note) => element("div", { class: "note" }, note)),
      );
      this.showChart(answer);
      this.showTable(answer);
      this.root.dataset["drawn"] = String(answer.rows);
    } catch (error) {
      if (!isAborted(error)) this.fail(error);
    }
  }

  // The place of an error is told in bytes of UTF-8.
  private fail(error: unknown): void {
    this.chart.hidden = true;
    replace(this.table);
    const text = error instanceof Error ? error.message : String(error);
    const line = element("div", { class: "error" }, text);
    if (error instanceof QueryError && error.begin !== undefined) {
      const bytes = new TextEncoder().encode(state.query);
      const part = (from: number, to?: number) => new TextDecoder().decode(bytes.slice(from, to));
      const end = Math.max(error.end ?? 0, error.begin + 1);
      replace(
        this.said, line,
        element("pre", {}, part(0, error.begin), element("mark", {}, part(error.begin, end) || " "), part(end)),
      );
    } else {
      replace(this.said, line);
    }
  }

  private showChart(answer: Answer): void {
    this.plot?.destroy();
    this.plot = null;
    const data = answer.rows > 1 ? queryData(answer) : null;
    this.chart.hidden = data === null || data.lines.length === 0 || data.lo.length < 2;
    if (this.chart.hidden || !data) return;
    const range: [number, number] = [data.lo[0]!, data.hi[data.hi.length - 1]!];
    const options = { logX: /\|\s*log-x/.test(state.query), logY: state.logY, robust: false };
    const plot = new Plot(this.chart, data.kind, this.chart.clientWidth - 2, 300, options, {
      zoom: (from, to) => {
        plot.showRange([from, to]);
        this.zoom(answer, from, to);
      },
      reset: () => {
        plot.showRange(range);
        this.unzoom();
      },
      cursor: (x, top) => {
        if (x === null) return hideTooltip();
        showTooltip(data, x, top, plot.plotRect, plot.leftOf(x), (value) => plot.topOf(value));
      },
      highlighted: () => "",
      forkSteps: () => new Map(),
      notes: () => [],
    });
    this.plot = plot;
    plot.show(data, range);
  }

  // Buckets are asked for again, in the range that is seen; of points all are there. The range is
  // written into the query, so that what the box says is what the chart shows.
  private zoom(answer: Answer, from: number, to: number): void {
    const axis = answer.columns.find((column) => column.name === "lo");
    if (!axis || (axis.type !== "step" && axis.type !== "time")) return;
    const unit = axis.type === "time" ? 1e6 : 1;
    const isWhole = axis.type === "time" || to - from > 20;
    const [begin, end] = isWhole
      ? [Math.floor(from * unit), Math.ceil(to * unit)]
      : [from, to];
    const stage = axis.type === "time" ? `time ${begin}us..${end}us` : `steps ${begin}..${end}`;
    const query = withRange(state.query, stage);
    if (query === null || query === state.query) return;
    const first = this.zoomed?.to === state.query ? this.zoomed.from : state.query;
    this.zoomed = { from: first, to: query };
    this.box.value = query;
    change({ query });
  }

  private unzoom(): void {
    if (this.zoomed?.to !== state.query) return;
    const query = this.zoomed.from;
    this.zoomed = null;
    this.box.value = query;
    change({ query });
  }

  // Of a long table only the rows on the screen exist.
  private showTable(answer: Answer): void {
    const head = element("div", { class: "tr head" });
    for (const column of answer.columns) head.append(element("span", {}, column.name));
    const rows = element("div", { class: "rows" });
    rows.style.height = `${answer.rows * ROW}px`;
    const scroller = element("div", { class: "virtual" }, head, rows);
    const widths = columnWidths(answer);
    const layOut = (row: HTMLElement) => (row.style.gridTemplateColumns = widths);
    layOut(head);
    const draw = () => {
      const first = Math.max(0, Math.floor(scroller.scrollTop / ROW) - 10);
      const last = Math.min(answer.rows, first + Math.ceil(scroller.clientHeight / ROW) + 20);
      rows.replaceChildren();
      for (let at = first; at < last; ++at) {
        const row = element("div", { class: "tr" });
        layOut(row);
        row.style.transform = `translateY(${at * ROW}px)`;
        answer.columns.forEach((column, index) => {
          const text = cellOf(answer.values[index]![at]!, column.type);
          row.append(element("span", { class: column.type === "text" ? "" : "number", title: text }, text));
        });
        rows.append(row);
      }
    };
    scroller.addEventListener("scroll", () => requestAnimationFrame(draw));
    replace(this.table, scroller);
    draw();
  }
}

// Numbers as they are, bit for bit: this is the place to read them off.
function cellOf(cell: Cell, type: string): string {
  if (cell === null) return "";
  return type === "time" ? formatTime(Number(cell)) : String(cell);
}

function columnWidths(answer: Answer): string {
  return answer.columns
    .map((column, index) => {
      let longest = column.name.length;
      for (let row = 0; row < Math.min(200, answer.rows); ++row) {
        longest = Math.max(longest, cellOf(answer.values[index]![row]!, column.type).length);
      }
      return `${Math.min(60, longest + 2)}ch`;
    })
    .join(" ");
}
