// A metric over all layers: a row for each layer, a column for each range of steps, in one query.

import { Answer, ask, isAborted } from "./api";
import { Board, ChartCard } from "./chart_card";
import { heat, token } from "./colors";
import { element, replace, select, toggle } from "./dom";
import { formatAxis, formatNumber } from "./format";
import { Family, Metrics } from "./metrics";
import { change, Key, state } from "./state";
import { globOf, literal } from "./words";

interface Heat {
  metrics: string[];
  labels: string[];
  lo: number[];
  hi: number[];
  values: Float64Array; // of row * columns + column; NaN: nothing there
  special: Uint8Array; // 1 NaN, 2 an infinity
}

const COLUMNS_MAX = 600;
const GUTTER = 56; // pixels of the names of layers

export class LayersPage {
  readonly root: HTMLElement;
  private readonly bar: HTMLElement;
  private readonly canvas: HTMLCanvasElement;
  private readonly map: HTMLElement;
  private readonly marker: HTMLElement;
  private readonly said: HTMLElement;
  private readonly key: HTMLElement;
  private readonly below: HTMLElement;
  private card: ChartCard | null = null;
  private families: Family[] = [];
  private heat: Heat | null = null;
  private range: [number, number] = [0, 1];
  private request: AbortController | null = null;
  private dragged: number | null = null;

  constructor(
    private readonly board: Board,
    private readonly metrics: Metrics,
  ) {
    this.bar = element("div", { class: "toolbar" });
    this.canvas = element("canvas", { role: "img", label: "heat map: layers by steps" });
    this.marker = element("div", { class: "marked" });
    this.map = element("div", { class: "map" }, this.canvas, this.marker);
    this.said = element("div", { class: "readout" });
    this.key = element("div", { class: "key" });
    this.below = element("div", { class: "below" });
    this.root = element(
      "main", { class: "layers" },
      this.bar, element("div", { class: "line" }, this.said, this.key), this.map, this.below,
    );
    this.canvas.addEventListener("mousemove", (event) => this.pointed(event));
    this.canvas.addEventListener("mouseleave", () => replace(this.said, this.title()));
    this.canvas.addEventListener("mousedown", (event) => (this.dragged = event.offsetX));
    this.canvas.addEventListener("mouseup", (event) => this.released(event));
    this.canvas.addEventListener("dblclick", () => change({ from: null, to: null }));
    new ResizeObserver(() => this.draw()).observe(this.map);
    metrics.onList(() => this.enter());
    board.runs.onShown(() => this.enter());
  }

  private get isSeen(): boolean {
    return state.view === "layers";
  }

  private get run(): string {
    const { shown } = this.board.runs;
    return shown.includes(state.layersRun) ? state.layersRun : shown[0] ?? "";
  }

  private get pattern(): string {
    return state.layers || this.families[0]?.pattern || "";
  }

  enter(): void {
    if (!this.isSeen) return;
    this.families = this.metrics.families();
    // What is called layers or blocks and has gradients is what people look for first.
    const rank = (one: Family) =>
      Number(/layer|block|h\./.test(one.pattern)) * 2 + Number(/grad/.test(one.pattern));
    this.families.sort((a, b) => rank(b) - rank(a) || b.members.length - a.members.length);
    this.drawBar();
    void this.refresh();
  }

  private drawBar(): void {
    const patterns = this.families.slice(0, 500).map(({ pattern, members }) => ({
      value: pattern,
      text: `${pattern}  (${members.length})`,
    }));
    if (!patterns.some(({ value }) => value === this.pattern)) {
      patterns.unshift({ value: this.pattern, text: this.pattern || "no metric of layers" });
    }
    const runs = this.board.runs.shown.map((value) => ({ value, text: value }));
    const plain = (values: string[]) => values.map((value) => ({ value, text: value }));
    const scales = [
      { value: "linear", text: "linear" },
      { value: "log", text: "logarithmic" },
      { value: "row", text: "within each layer" },
    ];
    replace(
      this.bar,
      select("metric of layers", patterns, this.pattern, (layers) => change({ layers })),
      select("run", runs, this.run, (layersRun) => change({ layersRun })),
      select("statistic of a cell", plain(["mean", "max", "min", "last"]), state.statistic, (statistic) =>
        change({ statistic }),
      ),
      select("scale of colours", scales, state.scale, (scale) => change({ scale })),
      toggle("log x", "Steps by their logarithm", state.logX, (logX) => change({ logX })),
      state.from !== null &&
        element("button", { type: "button", click: () => change({ from: null, to: null }) }, "whole range"),
    );
  }

  async refresh(): Promise<void> {
    if (!this.isSeen) return;
    if (!this.pattern || !this.run) {
      this.heat = null;
      this.draw();
      replace(this.said, "No metrics of the shown runs differ in a number alone, as layers/0/norm and layers/1/norm do.");
      return;
    }
    this.request?.abort();
    const request = (this.request = new AbortController());
    const columns = Math.min(COLUMNS_MAX, Math.max(50, Math.floor(this.map.clientWidth - GUTTER)));
    const range =
      state.from !== null && state.x === "step" ? ` | steps ${state.from}..${state.to}` : "";
    const told = [...new Set([state.statistic, "nan", "pinf", "ninf"])].join(", ");
    const log = state.logX ? " | log-x" : "";
    const query = `${this.pattern} @ ${literal(this.run)}${range}${log} | buckets ${columns} ${told}`;
    try {
      const answer = await ask(query, request.signal);
      this.heat = decode(answer, this.pattern, state.statistic);
      replace(this.said, this.title());
    } catch (error) {
      if (isAborted(error)) return;
      this.heat = null;
      replace(this.said, (error as Error).message);
    }
    this.draw();
  }

  private title(): string {
    if (!this.heat) return "";
    const { metrics, lo, hi } = this.heat;
    if (lo.length === 0) return "no points";
    return `${metrics.length} layers × ${lo.length} ranges, steps ${formatAxis(lo[0]!)} – ${formatAxis(hi[hi.length - 1]!)}`;
  }

  follow(changed: ReadonlySet<Key>): void {
    if (!this.isSeen) return;
    if (changed.has("view") || changed.has("layers")) this.enter();
    else if (["layersRun", "statistic", "from", "to", "logX"].some((key) => changed.has(key as Key))) {
      this.drawBar();
      void this.refresh();
    } else if (changed.has("scale")) this.draw();
    this.card?.follow(changed);
  }

  draw(): void {
    this.root.dataset["drawn"] = String(this.heat !== null);
    this.root.dataset["rows"] = String(this.heat?.metrics.length ?? 0);
    const width = this.map.clientWidth;
    const rows = this.heat?.metrics.length ?? 0;
    const height = Math.max(60, Math.min(560, innerHeight * 0.55, rows * 44)) + 22;
    const pixel = devicePixelRatio;
    this.canvas.width = Math.round(width * pixel);
    this.canvas.height = Math.round(height * pixel);
    this.canvas.style.height = `${height}px`;
    const context = this.canvas.getContext("2d")!;
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!this.heat || this.heat.lo.length === 0) return replace(this.key);
    const shade = this.shader(this.heat);
    const image = picture(this.heat, shade);
    context.imageSmoothingEnabled = false;
    context.drawImage(
      image, GUTTER * pixel, 0, (width - GUTTER) * pixel, (height - 22) * pixel,
    );
    this.drawAxes(context, width, height, pixel);
    this.drawKey();
  }

  private drawAxes(
    context: CanvasRenderingContext2D,
    width: number,
    height: number,
    pixel: number,
  ): void {
    const { labels, lo, hi } = this.heat!;
    context.scale(pixel, pixel);
    context.font = "10.5px ui-sans-serif, system-ui, sans-serif";
    context.fillStyle = token("--faint-ink");
    context.textBaseline = "middle";
    context.textAlign = "right";
    const each = (height - 22) / labels.length;
    const stride = Math.max(1, Math.ceil(13 / each));
    labels.forEach((label, row) => {
      if (row % stride === 0) context.fillText(label, GUTTER - 6, (row + 0.5) * each);
    });
    const marks = Math.max(2, Math.floor((width - GUTTER) / 110));
    for (let mark = 0; mark <= marks; ++mark) {
      context.textAlign = mark === 0 ? "left" : mark === marks ? "right" : "center";
      const at = Math.min(lo.length - 1, Math.round((mark / marks) * lo.length));
      const step = mark === marks ? hi[hi.length - 1]! : lo[at]!;
      const text = formatAxis(Number(step.toPrecision(4)));
      context.fillText(text, GUTTER + ((width - GUTTER) * mark) / marks, height - 9);
    }
  }

  // From 0 to 1 for a value of a row.
  private shader(map: Heat): (value: number, row: number) => number {
    const columns = map.lo.length;
    const span = (begin: number, end: number): [number, number] => {
      let [low, high] = [Infinity, -Infinity];
      for (let i = begin; i < end; ++i) {
        const value = map.values[i]!;
        if (!Number.isFinite(value) || (state.scale === "log" && value <= 0)) continue;
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
      return [low, high];
    };
    const share = (value: number, low: number, high: number) =>
      high > low ? (value - low) / (high - low) : 0.5;
    if (state.scale === "row") {
      const spans = map.metrics.map((_, row) => span(row * columns, (row + 1) * columns));
      return (value, row) => share(value, ...spans[row]!);
    }
    const [low, high] = span(0, map.values.length);
    this.range = [low, high];
    if (state.scale !== "log") return (value) => share(value, low, high);
    return (value) => (value > 0 ? share(Math.log(value), Math.log(low), Math.log(high)) : 0);
  }

  private drawKey(): void {
    const scale = element("canvas", { class: "scale" });
    scale.width = 120;
    scale.height = 1;
    const context = scale.getContext("2d")!;
    for (let x = 0; x < 120; ++x) {
      context.fillStyle = `rgb(${heat(x / 119).join(",")})`;
      context.fillRect(x, 0, 1, 1);
    }
    const [low, high] = this.range;
    const isRow = state.scale === "row";
    replace(
      this.key,
      isRow ? "least of the layer" : formatNumber(low),
      scale,
      isRow ? "greatest" : formatNumber(high),
      element("span", { class: "not-finite nan" }), "NaN",
      element("span", { class: "not-finite infinite" }), "infinite",
    );
  }

  private cellAt(event: MouseEvent): { row: number; column: number } | null {
    if (!this.heat || this.heat.lo.length === 0) return null;
    const width = this.canvas.clientWidth - GUTTER;
    const height = this.canvas.clientHeight - 22;
    const column = Math.floor(((event.offsetX - GUTTER) / width) * this.heat.lo.length);
    const row = Math.floor((event.offsetY / height) * this.heat.metrics.length);
    const isIn = row >= 0 && row < this.heat.metrics.length && column < this.heat.lo.length;
    return isIn ? { row, column: Math.max(0, column) } : null;
  }

  private pointed(event: MouseEvent): void {
    const cell = this.cellAt(event);
    this.showDrag(event);
    if (!cell) return;
    const { metrics, lo, hi, values, special } = this.heat!;
    const at = cell.row * lo.length + cell.column;
    const mark = special[at] === 1 ? ", NaN among them" : special[at] === 2 ? ", infinities among them" : "";
    const value = Number.isNaN(values[at]!) ? (special[at] ? "" : "nothing") : formatNumber(values[at]!);
    replace(
      this.said,
      element("b", {}, metrics[cell.row]!),
      `  steps ${formatAxis(lo[cell.column]!)} – ${formatAxis(hi[cell.column]!)}:  ${state.statistic} `,
      element("b", {}, value),
      mark,
    );
  }

  private showDrag(event: MouseEvent): void {
    const isDragging = this.dragged !== null && (event.buttons & 1) === 1;
    if (!isDragging) this.dragged = event.buttons & 1 ? this.dragged : null;
    this.marker.classList.toggle("seen", isDragging);
    if (!isDragging) return;
    const [from, to] = [Math.min(this.dragged!, event.offsetX), Math.max(this.dragged!, event.offsetX)];
    this.marker.style.left = `${from}px`;
    this.marker.style.width = `${to - from}px`;
  }

  private released(event: MouseEvent): void {
    const from = this.dragged;
    this.dragged = null;
    this.marker.classList.remove("seen");
    if (!this.heat || from === null) return;
    if (Math.abs(event.offsetX - from) < 5) return this.clicked(event);
    const [left, right] = [Math.min(from, event.offsetX), Math.max(from, event.offsetX)];
    const step = (x: number) => {
      const share = (x - GUTTER) / (this.canvas.clientWidth - GUTTER);
      const { lo, hi } = this.heat!;
      const at = Math.max(0, Math.min(lo.length - 1, Math.floor(share * lo.length)));
      return x <= left ? lo[at]! : hi[at]!;
    };
    change({ x: "step", from: Math.floor(step(left)), to: Math.ceil(step(right)) });
  }

  // The chart of the layer under the map.
  private clicked(event: MouseEvent): void {
    const cell = this.cellAt(event);
    if (cell) this.showLayer(this.heat!.metrics[cell.row]!);
  }

  private showLayer(metric: string): void {
    this.card?.destroy();
    this.card = new ChartCard(this.board, metric, metric);
    replace(this.below, this.card.root);
    this.card.resize(this.below.clientWidth, 240);
    void this.card.refresh();
  }
}

function decode(answer: Answer, pattern: string, statistic: string): Heat {
  const names = answer.texts("metric");
  const metrics = names.filter((name, row) => row === 0 || name !== names[row - 1]);
  const columns = metrics.length > 0 ? answer.rows / metrics.length : 0;
  const capture = new RegExp(globOf(pattern).source.replace("[^/]*", "([^/]*)"));
  const special = new Uint8Array(answer.rows);
  const nan = answer.numbers("nan");
  const [pinf, ninf] = [answer.numbers("pinf"), answer.numbers("ninf")];
  for (let i = 0; i < answer.rows; ++i) special[i] = nan[i]! > 0 ? 1 : pinf[i]! + ninf[i]! > 0 ? 2 : 0;
  return {
    metrics,
    labels: metrics.map((name) => capture.exec(name)?.[1] ?? name),
    lo: [...answer.numbers("lo").subarray(0, columns)],
    hi: [...answer.numbers("hi").subarray(0, columns)],
    values: answer.numbers(statistic),
    special,
  };
}

const NAN_COLOR = [255, 64, 160];
const INFINITE_COLOR = [255, 140, 40];

// A pixel for each cell. A layer that logs more seldom than there are columns keeps its last colour.
function picture(map: Heat, shade: (value: number, row: number) => number): HTMLCanvasElement {
  const columns = map.lo.length;
  const made = document.createElement("canvas");
  made.width = columns;
  made.height = map.metrics.length;
  const context = made.getContext("2d")!;
  const image = context.createImageData(columns, map.metrics.length);
  for (let row = 0; row < map.metrics.length; ++row) {
    let before: number[] | null = null;
    for (let column = 0; column < columns; ++column) {
      const at = row * columns + column;
      const value = map.values[at]!;
      let color: number[] | null = null;
      if (map.special[at]) color = map.special[at] === 1 ? NAN_COLOR : INFINITE_COLOR;
      else if (!Number.isNaN(value)) color = heat(shade(value, row));
      before = color ?? before;
      if (before) image.data.set([before[0]!, before[1]!, before[2]!, 255], at * 4);
    }
  }
  context.putImageData(image, 0, 0);
  return made;
}
