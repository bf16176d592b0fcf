// The runs that the filter selects, and those of them that are charted.

import { Answer, ask, Cell, isAborted, QueryError } from "./api";
import { giveColors } from "./colors";
import { Key, onChange, state } from "./state";
import { byName, groupOf, literals, runsOf } from "./words";

export interface Run {
  name: string;
  state: string;
  created: number | null; // microseconds
  attempts: number;
  metrics: number;
  cells: Cell[]; // of the columns that were chosen
  group: Cell; // its value of what the list is grouped by
}

export interface Ancestry {
  parent?: string; // with the attempt to which it is pinned
  forkStep?: number;
  attempts: number[]; // that can be read, the newest last
}

export interface Note {
  run: string;
  step: number | null;
  time: number | null; // microseconds
  text: string;
}

type Listener = () => void;

const FIRST_ROWS = 1024; // at once; the rest when somebody scrolls there

export class Runs {
  list: Run[] = [];
  isComplete = false;
  error: unknown = null;
  isLoaded = false;
  ancestry = new Map<string, Ancestry>();
  notes: Note[] = []; // of the charted runs
  attributes: string[] = []; // that the charted runs have
  highlighted = ""; // the run under the pointer

  private listeners: Listener[] = [];
  private shownListeners: Listener[] = [];
  private highlightListeners: Listener[] = [];
  private request: AbortController | null = null;
  private rowsWanted = FIRST_ROWS;
  private shownNames: string[] = [];
  private pinnedRuns: Run[] = [];

  constructor() {
    onChange((changed) => this.follow(changed));
  }

  onList(listener: Listener): void {
    this.listeners.push(listener);
  }

  onShown(listener: Listener): void {
    this.shownListeners.push(listener);
  }

  onHighlight(listener: Listener): void {
    this.highlightListeners.push(listener);
  }

  highlight(name: string): void {
    if (name === this.highlighted) return;
    this.highlighted = name;
    for (const listener of this.highlightListeners) listener();
  }

  // In the order of the list, pinned ones first.
  get shown(): readonly string[] {
    return this.shownNames;
  }

  byName(name: string): Run | undefined {
    return this.list.find((run) => run.name === name);
  }

  async load(): Promise<void> {
    this.request?.abort();
    const request = (this.request = new AbortController());
    try {
      const [answer, pinned] = await Promise.all([
        ask(this.query(runsOf(state.runs), this.rowsWanted), request.signal),
        this.loadPinned(request.signal),
      ]);
      const list = decode(answer);
      this.pinnedRuns = pinned;
      const names = new Set(pinned.map((run) => run.name));
      this.list = [...pinned, ...list.filter((run) => !names.has(run.name))];
      this.isComplete = list.length < this.rowsWanted;
      this.error = null;
    } catch (error) {
      if (isAborted(error)) return;
      this.error = error;
    }
    this.isLoaded = true;
    this.choose();
    for (const listener of this.listeners) listener();
  }

  // More of the list, when somebody has scrolled near its end.
  more(): void {
    if (this.isComplete || this.list.length < this.rowsWanted) return;
    this.rowsWanted *= 6;
    void this.load();
  }

  private async loadPinned(signal: AbortSignal): Promise<Run[]> {
    if (state.pinned.length === 0) return [];
    try {
      const answer = await ask(this.query(literals(state.pinned), state.pinned.length), signal);
      return decode(answer);
    } catch (error) {
      if (error instanceof QueryError) return this.pinnedRuns; // one of them has been deleted
      throw error;
    }
  }

  private query(runs: string, rows: number): string {
    const group = groupOf(state.group);
    const show = ["state", "created", "attempts", "metrics", `${group ?? "state"} as "group"`];
    const columns = state.columns.map((column, index) => `${column} as "column ${index}"`);
    const named = [...show, ...columns].join(", ");
    const sort = state.sort.replace(/^(.*?)( desc)?$/, (_, expression: string, desc = "") => {
      const column = state.columns.indexOf(expression);
      return column >= 0 ? `"column ${column}"${desc}` : `${expression}${desc}`;
    });
    return `runs ${runs} | show ${named} | sort ${group ? '"group", ' : ""}${sort} | limit ${rows}`;
  }

  private follow(changed: ReadonlySet<Key>): void {
    if (changed.has("runs")) this.rowsWanted = FIRST_ROWS;
    if (["runs", "sort", "columns", "pinned", "group"].some((key) => changed.has(key as Key))) {
      void this.load();
    } else if (changed.has("shown") || changed.has("hidden")) {
      this.choose();
      for (const listener of this.listeners) listener();
    }
  }

  private choose(): void {
    const hidden = new Set(state.hidden);
    const pinned = new Set(state.pinned);
    const next: string[] = [];
    for (const run of this.list) {
      if (hidden.has(run.name)) continue;
      if (pinned.has(run.name) || next.length < state.shown) next.push(run.name);
      else if (next.length >= state.shown) break;
    }
    if (next.join("\n") === this.shownNames.join("\n")) return;
    // A palette that starts anew with each filter would give a run another colour with every letter.
    giveColors([...next].sort(byName));
    this.shownNames = next;
    for (const listener of this.shownListeners) listener();
    void this.loadAncestry(next.slice(0, 100));
  }

  private async loadAncestry(names: string[]): Promise<void> {
    if (names.length === 0) return;
    let answer: Answer;
    try {
      const [attributes, notes] = await Promise.all([
        ask(`attributes ${literals(names)}`),
        ask(`notes ${literals(names)}`),
      ]);
      answer = attributes;
      this.notes = notes.texts("run").map((run, row) => ({
        run,
        step: notes.column("step")[row] as number | null,
        time: notes.column("time")[row] as number | null,
        text: notes.texts("note")[row]!,
      }));
    } catch (error) {
      if (error instanceof QueryError || isAborted(error)) return; // one has just been deleted
      throw error;
    }
    const [runs, attributes, values] = ["run", "attribute", "value"].map((n) => answer.texts(n));
    const found = new Map<string, Ancestry>();
    for (let row = 0; row < answer.rows; ++row) {
      const one = found.get(runs![row]!) ?? { attempts: [] };
      found.set(runs![row]!, one);
      if (attributes![row] === "sys/parent") one.parent = values![row]!;
      if (attributes![row] === "sys/fork_step") one.forkStep = Number(values![row]);
      if (attributes![row] === "sys/attempts") one.attempts = values![row]!.split(", ").map(Number);
    }
    this.ancestry = found;
    this.attributes = [...new Set(attributes)].sort(byName);
    for (const listener of this.listeners) listener();
    for (const listener of this.highlightListeners) listener();
  }
}

function decode(answer: Answer): Run[] {
  const names = answer.texts("run");
  const states = answer.texts("state");
  const [created, attempts, metrics] = ["created", "attempts", "metrics"].map((n) =>
    answer.column(n),
  );
  const chosen = answer.values.slice(6);
  const groups = answer.column("group");
  return names.map((name, row) => ({
    name,
    state: states[row] ?? "",
    created: created![row] as number | null,
    attempts: Number(attempts![row] ?? 1),
    metrics: Number(metrics![row] ?? 0),
    group: groups[row] ?? null,
    cells: chosen.map((column) => column[row] ?? null),
  }));
}
