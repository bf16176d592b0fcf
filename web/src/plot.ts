// A chart on the screen: axes, cursor and selection are uPlot's, the lines are drawn by drawing.ts.

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { ChartData, Extent, extentOf } from "./chart_data";
import { token } from "./colors";
import { drawLines, NoteMark } from "./drawing";
import { formatAxis, formatTicks } from "./format";

export interface PlotOptions {
  logX: boolean;
  logY: boolean;
  robust: boolean;
}

export interface PlotEvents {
  zoom: (from: number, to: number) => void; // in units of x
  cursor: (x: number | null, top: number) => void;
  reset: () => void;
  highlighted: () => string;
  forkSteps: () => Map<string, number>;
  notes: () => NoteMark[];
}

const FONT = '10.5px ui-sans-serif, system-ui, "Segoe UI", Roboto, "Liberation Sans", sans-serif';

export class Plot {
  readonly root: HTMLElement;
  private readonly chart: uPlot;
  private readonly crosshair: HTMLElement;
  private data: ChartData | null = null;
  private extent: Extent | null = null;
  private range: [number, number] = [0, 1];

  constructor(
    parent: HTMLElement,
    private readonly kind: string,
    width: number,
    height: number,
    private readonly options: PlotOptions,
    private readonly events: PlotEvents,
  ) {
    const empty: uPlot.AlignedData = [
      [1, 2],
      [null, null],
    ];
    this.chart = new uPlot(this.describe(width, height), empty, parent);
    this.root = this.chart.root;
    this.crosshair = document.createElement("div");
    this.crosshair.className = "crosshair";
    this.chart.over.append(this.crosshair);
    this.listen();
  }

  private describe(width: number, height: number): uPlot.Options {
    const ink = token("--faint-ink");
    const grid = { stroke: token("--grid"), width: 1 };
    const axis = { stroke: ink, grid, ticks: { show: false }, font: FONT };
    const words = (_: uPlot, splits: (number | null)[]) =>
      splits.map((split) => (split === null ? "" : formatAxis(split)));
    const isTime = this.kind === "time";
    const times = (_: uPlot, splits: number[], _axis: number, _space: number, step: number) =>
      formatTicks(splits, step);
    const isLogX = this.options.logX && !isTime;
    const log = {
      splits: (_: uPlot, _axis: number, min: number, max: number) => logSplits(min, max),
      filter: (_: uPlot, splits: number[]) => splits,
    };
    return {
      width,
      height,
      padding: [6, 16, 0, 0],
      legend: { show: false },
      cursor: {
        points: { show: false },
        y: false,
        drag: { x: true, y: false, setScale: false, dist: 4 },
        bind: { dblclick: () => () => (this.events.reset(), null) },
      },
      scales: {
        x: { time: isTime, distr: isLogX ? 3 : 1, range: () => this.xRange() },
        y: { distr: this.options.logY ? 3 : 1, range: () => this.yRange() },
      },
      series: [{}, { show: true, paths: () => null, points: { show: false } }],
      axes: [
        {
          ...axis,
          size: 22,
          gap: 3,
          space: isTime ? 84 : 60,
          values: isTime ? times : words,
          ...(isLogX ? log : {}),
        },
        { ...axis, size: 48, gap: 4, space: 28, values: words, ...(this.options.logY ? log : {}) },
      ],
      hooks: {
        draw: [() => this.draw()],
        setSelect: [() => this.selected()],
        setCursor: [() => this.moved()],
      },
    };
  }

  private xRange(): [number, number] {
    let [from, to] = this.range;
    if (this.options.logX && from <= 0) from = to > 0 ? to / 1e6 : 1e-6;
    if (!(to > from)) {
      const pad = Math.abs(from) * 0.05 || 1;
      return this.options.logX ? [from / 1.1, from * 1.1] : [from - pad, from + pad];
    }
    return [from, to];
  }

  private yRange(): [number, number] {
    if (!this.extent) return this.options.logY ? [0.1, 10] : [0, 1];
    const { min, max } = this.extent;
    if (this.options.logY) {
      const pad = Math.max(1.02, (max / min) ** 0.05);
      return [min / pad, max * pad];
    }
    const pad = (max - min) * 0.06 || Math.abs(max) * 0.05 || 1;
    return [min - pad, max + pad];
  }

  private listen(): void {
    const over = this.chart.over;
    over.addEventListener("mouseleave", () => this.events.cursor(null, 0));
    over.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        const at = this.chart.posToVal(event.offsetX, "x");
        const factor = Math.exp(Math.max(-1, Math.min(1, event.deltaY / 150)));
        const [from, to] = this.range;
        this.events.zoom(at - (at - from) * factor, at + (to - at) * factor);
      },
      { passive: false },
    );
    // With the shift key the chart is moved, not zoomed; before uPlot sees the button go down.
    this.chart.root.addEventListener("mousedown", (event) => this.pan(event), true);
  }

  private pan(event: MouseEvent): void {
    if (!event.shiftKey || event.button !== 0) return;
    event.stopPropagation();
    event.preventDefault();
    const [from, to] = this.range;
    const perPixel = (to - from) / this.chart.over.clientWidth;
    const move = (moved: MouseEvent) => {
      const by = (event.clientX - moved.clientX) * perPixel;
      this.events.zoom(from + by, to + by);
    };
    const end = () => {
      removeEventListener("mousemove", move);
      removeEventListener("mouseup", end);
    };
    addEventListener("mousemove", move);
    addEventListener("mouseup", end);
  }

  private selected(): void {
    const { left, width } = this.chart.select;
    if (width < 3) return;
    const [from, to] = [left, left + width].map((place) => this.chart.posToVal(place, "x"));
    this.chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.events.zoom(from!, to!);
  }

  private moved(): void {
    const { left, top } = this.chart.cursor;
    if (left === undefined || left < 0) return;
    this.events.cursor(this.chart.posToVal(left, "x"), top ?? 0);
  }

  // The line that follows the pointer in another chart.
  showCrosshair(x: number | null): void {
    const isSeen = x !== null && x >= this.range[0] && x <= this.range[1];
    this.crosshair.classList.toggle("seen", isSeen);
    if (isSeen) {
      this.crosshair.style.transform = `translateX(${Math.round(this.chart.valToPos(x, "x"))}px)`;
    }
  }

  // A pixel of the plot, by a value of y.
  topOf(value: number): number {
    return this.chart.valToPos(value, "y");
  }

  leftOf(x: number): number {
    return this.chart.valToPos(x, "x");
  }

  get plotWidth(): number {
    return this.chart.over.clientWidth;
  }

  get plotRect(): DOMRect {
    return this.chart.over.getBoundingClientRect();
  }

  show(data: ChartData, range: [number, number]): void {
    this.data = data;
    this.extent = extentOf(data, this.options.logY, this.options.robust);
    this.showRange(range);
  }

  // Before the exact answer is there, what is known is drawn at its new place.
  showRange(range: [number, number]): void {
    this.range = range;
    const [min, max] = this.xRange();
    this.chart.batch(() => {
      this.chart.setScale("x", { min, max });
      const [low, high] = this.yRange();
      this.chart.setScale("y", { min: low, max: high });
    });
    this.chart.redraw(false, true);
  }

  redraw(): void {
    this.chart.redraw(false, false);
  }

  resize(width: number, height: number): void {
    if (this.chart.width !== width || this.chart.height !== height) {
      this.chart.setSize({ width, height });
    }
  }

  private draw(): void {
    if (!this.data) return;
    const { left, top, width, height } = this.chart.bbox;
    const x = this.chart.scales["x"]!;
    const y = this.chart.scales["y"]!;
    drawLines(
      {
        context: this.chart.ctx,
        left,
        top,
        width,
        height,
        toX: placer(x.min!, x.max!, left, width, x.distr === 3),
        toY: placer(y.min!, y.max!, top + height, -height, y.distr === 3),
        pixel: uPlot.pxRatio,
        highlighted: this.events.highlighted(),
        forkSteps: this.events.forkSteps(),
        notes: this.events.notes(),
      },
      this.data,
    );
  }

  destroy(): void {
    this.chart.destroy();
  }
}

// Marks of a log axis: powers of ten, as many as there is room for; within one or two of them, also
// their multiples.
function logSplits(min: number, max: number): number[] {
  const [low, high] = [Math.log10(min), Math.log10(max)];
  const stride = Math.max(1, Math.ceil((high - low) / 6));
  const factors = high - low > 2.2 ? [1] : high - low > 0.7 ? [1, 2, 5] : [];
  const splits: number[] = [];
  for (let power = Math.floor(low / stride) * stride; power <= high; power += stride) {
    for (const factor of factors) {
      const split = factor * 10 ** power;
      if (split >= min && split <= max) splits.push(split);
    }
  }
  if (splits.length >= 2) return splits;
  // Less than one: evenly, at a round distance.
  const rough = (max - min) / 5;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * unit).find((one) => one >= rough)!;
  const even: number[] = [];
  for (let at = Math.ceil(min / step) * step; at <= max; at += step) even.push(at);
  return even;
}

// What lies below a log axis is drawn far below the chart, so that a line falls out of it.
function placer(
  min: number,
  max: number,
  begin: number,
  length: number,
  isLog: boolean,
): (value: number) => number {
  if (!isLog) {
    // Canvases lose lines whose ends are too far away.
    const share = (value: number) => Math.max(-20, Math.min(21, (value - min) / (max - min)));
    return (value) => begin + share(value) * length;
  }
  const low = Math.log(min);
  const factor = length / (Math.log(max) - low);
  return (value) => begin + (value > 0 ? (Math.log(value) - low) * factor : -length);
}
