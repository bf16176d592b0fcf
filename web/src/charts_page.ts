// All charts of the shown runs, by namespace. Only those near the screen exist: their places follow
// from arithmetic, so a page of 100,000 charts scrolls as one of ten.

import { ASKS, Board, ChartCard } from "./chart_card";
import { element, replace } from "./dom";
import { count } from "./format";
import { Metrics } from "./metrics";
import { change, Key, state } from "./state";
import { byName, finds } from "./words";

const GAP = 10;
const SECTION = 30; // pixels of a section's title
const TOGETHER_MAX = 2; // charts of a namespace that needs no section of its own
const FOLDED_FROM = 60; // charts of a section that begins folded, if there are others
const SIZES: Record<string, [number, number]> = { s: [220, 140], m: [300, 200], l: [560, 330] };

interface Section {
  name: string;
  metrics: string[];
  isFolded: boolean;
  top: number;
  rows: number;
}

// By their first segment. What has none, and namespaces of a chart or two, are together; there losses
// come first, for they are what everybody looks at first.
function sectionsOf(metrics: string[]): Map<string, string[]> {
  const byPrefix = new Map<string, string[]>();
  for (const name of metrics) {
    const slash = name.indexOf("/");
    const prefix = slash < 0 ? "" : name.slice(0, slash);
    const list = byPrefix.get(prefix);
    if (list) list.push(name);
    else byPrefix.set(prefix, [name]);
  }
  const together = byPrefix.get("") ?? [];
  for (const [prefix, list] of byPrefix) {
    if (prefix === "" || list.length > TOGETHER_MAX) continue;
    together.push(...list);
    byPrefix.delete(prefix);
  }
  const isLoss = (name: string) => Number(/loss/i.test(name));
  together.sort((a, b) => isLoss(b) - isLoss(a) || byName(a, b));
  byPrefix.delete("");
  if (together.length > 0) byPrefix.set("", together);
  return byPrefix;
}

export class ChartsPage {
  readonly root: HTMLElement;
  private readonly canvas: HTMLElement;
  private readonly empty: HTMLElement;
  private readonly cards = new Map<string, ChartCard>();
  private readonly titles = new Map<string, HTMLElement>();
  private sections: Section[] = [];
  private columns = 1;
  private frame = 0;
  private isStale = false; // something has changed while they were covered

  constructor(
    private readonly board: Board,
    private readonly metrics: Metrics,
  ) {
    this.canvas = element("div", { class: "board" });
    this.empty = element("div", { class: "empty" });
    this.root = element("main", { class: "charts" }, this.canvas, this.empty);
    this.root.addEventListener("scroll", () => this.soon());
    new ResizeObserver(() => this.layOut()).observe(this.root);
    metrics.onList(() => this.build());
  }

  get first(): string {
    return this.sections.find((section) => !section.isFolded)?.metrics[0] ?? "";
  }

  // The charts one after the other, as they are seen.
  get order(): string[] {
    return this.sections.flatMap((section) => section.metrics);
  }

  build(): void {
    const isFound = finds(state.metrics);
    const found = this.metrics.names.filter(isFound);
    const byPrefix = sectionsOf(found);
    const isLong = (list: string[]) => list.length > FOLDED_FROM && byPrefix.size > 1;
    const rank = (name: string, list: string[]) => (name === "" ? 0 : isLong(list) ? 2 : 1);
    this.sections = [...byPrefix]
      .sort(([a, one], [b, two]) => rank(a, one) - rank(b, two) || byName(a, b))
      .map(([name, list]) => ({
        name,
        metrics: list,
        isFolded: state.folded.includes(name) !== (isLong(list) && state.metrics === ""),
        top: 0,
        rows: 0,
      }));
    this.say(found.length);
    this.layOut();
  }

  private say(found: number): void {
    let text = "";
    if (this.metrics.error) text = (this.metrics.error as Error).message;
    else if (!this.metrics.isLoaded) text = "";
    else if (this.board.runs.shown.length === 0) text = "No run is shown. Click runs on the left.";
    else if (found === 0) {
      const many = count(this.metrics.names.length, "metric");
      text = state.metrics ? `None of ${many} has "${state.metrics}".` : "No metric was logged yet.";
    }
    replace(this.empty, text);
  }

  private layOut(): void {
    const width = this.root.clientWidth - 2 * GAP;
    if (width <= 0) return;
    const [least, height] = SIZES[state.size] ?? SIZES["m"]!;
    this.columns = Math.max(1, Math.floor((width + GAP) / (least + GAP)));
    let top = 0;
    for (const section of this.sections) {
      section.top = top;
      section.rows = section.isFolded ? 0 : Math.ceil(section.metrics.length / this.columns);
      top += SECTION + section.rows * (height + GAP);
    }
    this.canvas.style.height = `${top + GAP}px`;
    this.draw();
  }

  private soon(): void {
    if (this.frame === 0) {
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        this.draw();
      });
    }
  }

  private draw(): void {
    const [, height] = SIZES[state.size] ?? SIZES["m"]!;
    const width = Math.floor(
      (this.root.clientWidth - 2 * GAP - (this.columns - 1) * GAP) / this.columns,
    );
    const from = this.root.scrollTop - this.root.clientHeight * 0.4;
    const to = this.root.scrollTop + this.root.clientHeight * 1.4;
    const seen = new Set<string>();
    const titles = new Set<string>();
    for (const section of this.sections) {
      const end = section.top + SECTION + section.rows * (height + GAP);
      if (end < from || section.top > to) continue;
      titles.add(section.name);
      this.drawTitle(section);
      const begin = section.top + SECTION;
      const first = Math.max(0, Math.floor((from - begin) / (height + GAP)));
      const last = Math.min(section.rows, Math.ceil((to - begin) / (height + GAP)));
      for (let at = first * this.columns; at < last * this.columns; ++at) {
        const metric = section.metrics[at];
        if (metric === undefined) break;
        seen.add(metric);
        const [row, column] = [Math.floor(at / this.columns), at % this.columns];
        const card = this.card(metric, section.name);
        card.place(column * (width + GAP), begin + row * (height + GAP), width, height);
      }
    }
    this.drop(seen, titles);
    for (const metric of seen) if (!this.asked.has(metric)) this.ask(metric);
  }

  private readonly asked = new Set<string>();

  private ask(metric: string): void {
    this.asked.add(metric);
    void this.cards.get(metric)!.refresh();
  }

  private card(metric: string, section: string): ChartCard {
    let card = this.cards.get(metric);
    if (!card) {
      const title = section === "" ? metric : metric.slice(section.length + 1);
      card = new ChartCard(this.board, metric, title || metric);
      this.cards.set(metric, card);
      this.canvas.append(card.root);
    }
    return card;
  }

  private drop(seen: Set<string>, titles: Set<string>): void {
    for (const [metric, card] of this.cards) {
      if (seen.has(metric)) continue;
      card.destroy();
      this.cards.delete(metric);
      this.asked.delete(metric);
    }
    for (const [name, title] of this.titles) {
      if (titles.has(name)) continue;
      title.remove();
      this.titles.delete(name);
    }
  }

  private drawTitle(section: Section): void {
    let title = this.titles.get(section.name);
    if (!title) {
      title = element("button", { type: "button", class: "section" });
      title.addEventListener("click", () => this.fold(section.name));
      this.titles.set(section.name, title);
      this.canvas.append(title);
    }
    title.style.transform = `translateY(${section.top}px)`;
    title.setAttribute("aria-expanded", String(!section.isFolded));
    replace(
      title,
      element("span", { class: "fold" }, section.isFolded ? "▸" : "▾"),
      element("b", {}, section.name === "" ? "main" : section.name),
      element("span", { class: "many" }, count(section.metrics.length, "chart")),
    );
  }

  private fold(name: string): void {
    const folded = state.folded.includes(name)
      ? state.folded.filter((one) => one !== name)
      : [...state.folded, name];
    change({ folded });
  }

  // Not while another view, or a chart that is shown large, covers them.
  private get isSeen(): boolean {
    return state.view === "charts" && state.open === "";
  }

  follow(changed: ReadonlySet<Key>): void {
    if (!this.isSeen) {
      this.isStale ||= ASKS.some((key) => changed.has(key));
      return;
    }
    if (changed.has("metrics") || changed.has("folded")) {
      if (changed.has("metrics")) this.root.scrollTop = 0;
      this.build();
    } else if (changed.has("size")) {
      this.layOut();
    }
    if (this.isStale) this.refresh();
    else for (const card of this.cards.values()) card.follow(changed);
  }

  // Of those on the screen, exactly.
  refresh(): void {
    this.isStale = !this.isSeen;
    if (this.isStale) return;
    for (const card of this.cards.values()) void card.refresh();
  }
}
