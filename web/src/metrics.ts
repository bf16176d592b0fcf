// The names of the metrics that the charted runs have.
//
// Runs of a sweep log the same names, so the names of 500 runs are not asked for 500 times: of all
// runs that have the same number of metrics, one is asked. What only others have is still found by
// the search, which asks the server about all of them.

import { ask, isAborted } from "./api";
import { Runs } from "./runs";
import { byName, literals, metricsOf } from "./words";

const RUNS_ASKED_MAX = 8;
const NAMES_MAX = 250_000; // of all of these
const FOUND_MAX = 20_000; // rows of one search

export interface Family {
  pattern: string; // layers/{l}/grad_norm
  members: string[];
}

export class Metrics {
  names: string[] = [];
  isTimed = new Map<string, boolean>();
  error: unknown = null;
  isLoaded = false;

  private listeners: (() => void)[] = [];
  private knownFamilies: { of: string[]; found: Family[] } | null = null;
  private request: AbortController | null = null;
  private asked = "";

  constructor(private readonly runs: Runs) {
    runs.onShown(() => void this.load());
  }

  onList(listener: () => void): void {
    this.listeners.push(listener);
  }

  private representatives(): string[] {
    const byCount = new Map<number, string>();
    for (const name of this.runs.shown) {
      const many = this.runs.byName(name)?.metrics ?? 0;
      if (many > 0 && !byCount.has(many)) byCount.set(many, name);
    }
    let names = 0;
    const asked: string[] = [];
    for (const [many, name] of byCount) {
      names += many;
      if (asked.length > 0 && (asked.length === RUNS_ASKED_MAX || names > NAMES_MAX)) break;
      asked.push(name);
    }
    return asked;
  }

  async load(isAnew = false): Promise<void> {
    const asked = this.representatives();
    const same = asked.join("\n");
    if (same === this.asked && this.isLoaded && !isAnew) return;
    this.asked = same;
    if (asked.length === 0) {
      this.take([], [], true);
      return;
    }
    await this.request_(`metrics ** @ ${literals(asked)}`, true);
  }

  // Adds what the search finds in any of the charted runs.
  async search(text: string): Promise<void> {
    if (text.trim() === "" || this.runs.shown.length <= 1) return;
    const runs = literals(this.runs.shown);
    await this.request_(`metrics ${metricsOf(text)} @ ${runs} | limit ${FOUND_MAX}`, false);
  }

  private async request_(query: string, isAll: boolean): Promise<void> {
    this.request?.abort();
    const request = (this.request = new AbortController());
    try {
      const answer = await ask(query, request.signal);
      this.error = null;
      this.take(answer.texts("metric"), answer.texts("axis"), isAll);
    } catch (error) {
      if (isAborted(error)) return;
      this.error = error;
      for (const listener of this.listeners) listener();
    }
  }

  private take(names: string[], axes: string[], isAll: boolean): void {
    const before = this.names.length;
    if (isAll) this.isTimed = new Map();
    for (let row = 0; row < names.length; ++row) this.isTimed.set(names[row]!, axes[row] === "timed");
    if (!isAll && this.isTimed.size === before) return;
    this.names = [...this.isTimed.keys()];
    // Of one run they come in natural order already.
    if (!isAll || this.asked.includes("\n")) this.names.sort(byName);
    this.isLoaded = true;
    for (const listener of this.listeners) listener();
  }

  // Names that differ in one number only, such as those of layers, experts and ranks.
  families(): Family[] {
    if (this.knownFamilies?.of !== this.names) {
      this.knownFamilies = { of: this.names, found: this.findFamilies() };
    }
    return [...this.knownFamilies.found];
  }

  private findFamilies(): Family[] {
    const found = new Map<string, string[]>();
    for (const name of this.names) {
      for (const match of name.matchAll(/\d+/g)) {
        const pattern = `${name.slice(0, match.index)}{l}${name.slice(match.index + match[0].length)}`;
        const members = found.get(pattern);
        if (members) members.push(name);
        else found.set(pattern, [name]);
      }
    }
    return [...found]
      .filter(([, members]) => members.length >= 3)
      .map(([pattern, members]) => ({ pattern, members }));
  }
}
