// Words offered while a query is typed: of the language, and of what the page knows of the store.

import { element, replace } from "./dom";
import { Metrics } from "./metrics";
import { Runs } from "./runs";

const OFFERED_MAX = 12;
const STAGES =
  "steps time first last when ema moving diff rate zscore every x top bottom buckets log-x summary " +
  "stamped across pivot sort limit show";
const OTHERS =
  "where and or not in contains is missing exists tag state created name project running finished " +
  "failed stale as runs metrics attributes projects stats explain parent own min max mean count " +
  "last first std at hold group by";
const LANGUAGE = [...new Set([...STAGES.split(" "), ...OTHERS.split(" ")])];

// Where a word begins that ends at the cursor.
const WORD = /[^\s,|()"']*$/;

export class Completion {
  private readonly box = element("div", { class: "offers", role: "listbox" });
  private offers: string[] = [];
  private chosen = -1;

  constructor(
    private readonly input: HTMLInputElement | HTMLTextAreaElement,
    private readonly words: () => Iterable<string>,
    private readonly accepted: () => void = () => {},
  ) {
    this.box.hidden = true;
    document.body.append(this.box);
    input.setAttribute("autocomplete", "off");
    input.addEventListener("input", () => this.offer());
    input.addEventListener("blur", () => this.hide());
    input.addEventListener("keydown", (event) => this.typed(event as KeyboardEvent), true);
  }

  private word(): string {
    return WORD.exec(this.input.value.slice(0, this.input.selectionEnd ?? 0))?.[0] ?? "";
  }

  private offer(): void {
    const word = this.word();
    this.offers = word.length < 2 || /[*{]/.test(word) ? [] : this.find(word);
    this.chosen = -1;
    this.draw();
  }

  // What begins with it comes before what has it within.
  private find(word: string): string[] {
    const lower = word.toLowerCase();
    const [begin, within]: [string[], string[]] = [[], []];
    for (const one of this.words()) {
      const at = one.toLowerCase().indexOf(lower);
      if (at < 0 || one === word) continue;
      (at === 0 ? begin : within).push(one);
      if (begin.length >= OFFERED_MAX) break;
    }
    return [...new Set([...begin, ...within])].slice(0, OFFERED_MAX);
  }

  private draw(): void {
    this.box.hidden = this.offers.length === 0;
    if (this.box.hidden) return;
    const rows = this.offers.map((offer, index) => {
      const row = element("div", { class: index === this.chosen ? "chosen" : "", role: "option" }, offer);
      row.addEventListener("mousedown", (event) => {
        event.preventDefault();
        this.accept(index);
      });
      return row;
    });
    replace(this.box, ...rows);
    const { left, bottom } = this.input.getBoundingClientRect();
    this.box.style.transform = `translate(${Math.round(left)}px, ${Math.round(bottom + 2)}px)`;
  }

  private hide(): void {
    this.offers = [];
    this.draw();
  }

  private typed(event: KeyboardEvent): void {
    if (this.box.hidden || event.ctrlKey || event.altKey) return;
    const { length } = this.offers;
    if (event.key === "ArrowDown") this.chosen = (this.chosen + 1) % length;
    else if (event.key === "ArrowUp") this.chosen = (this.chosen - 1 + length) % length;
    else if (event.key === "Tab") this.accept(Math.max(0, this.chosen));
    else if (event.key === "Enter" && this.chosen >= 0) this.accept(this.chosen);
    else if (event.key === "Escape") this.hide();
    else return;
    event.preventDefault();
    event.stopPropagation();
    if (this.offers.length > 0) this.draw();
  }

  private accept(index: number): void {
    const end = this.input.selectionEnd ?? 0;
    const begin = end - this.word().length;
    const offer = this.offers[index]!;
    this.hide();
    this.input.setRangeText(offer, begin, end, "end");
    this.accepted();
  }
}

// Names that the language would read otherwise stand in quotes.
function spelled(name: string): string {
  return /[\s,|()"'*{}]/.test(name) ? `"${name.replaceAll('"', '""')}"` : name;
}

export function knownWords(runs: Runs, metrics: Metrics): () => Iterable<string> {
  return function* () {
    yield* LANGUAGE;
    for (const name of runs.attributes) yield spelled(name);
    for (const name of metrics.names) yield spelled(name);
    for (const { pattern } of metrics.families().slice(0, 200)) yield pattern;
    for (const run of runs.list) yield spelled(run.name);
    // A project stands for all of its runs.
    for (const project of new Set(runs.list.map((run) => run.name.split("/")[0]!))) yield `${project}/*`;
  };
}

export function knownAttributes(runs: Runs): () => Iterable<string> {
  return function* () {
    yield* runs.attributes;
    yield* ["state", "created", "attempts", "metrics", "tags"];
  };
}
