// Tells when the shown runs have something new. A watched query says so at once; where there is no
// watching, the page asks every two seconds.

import { ask, currentToken, QueryError } from "./api";
import { Runs } from "./runs";
import { literals } from "./words";

const POLL = 2000; // milliseconds
const LIST_POLL = 5000;
const REFRESH_MIN = 1000; // between two refreshes of the charts

export class Live {
  private socket: WebSocket | null = null;
  private isWatching = false;
  private request = 0;
  private seen = "";
  private last = 0;
  private due = 0;
  private isPaused = false;

  constructor(
    private readonly runs: Runs,
    private readonly refresh: () => void,
    private readonly said: (text: string) => void,
  ) {
    runs.onShown(() => this.begin());
    setInterval(() => void this.poll(), POLL);
    setInterval(() => this.listAgain(), LIST_POLL);
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) void this.poll();
    });
    this.connect();
  }

  set paused(isPaused: boolean) {
    this.isPaused = isPaused;
    this.say();
    if (!isPaused) this.trigger();
  }

  get paused(): boolean {
    return this.isPaused;
  }

  private say(): void {
    const isRunning = this.runs.shown.some((name) => this.runs.byName(name)?.state === "running");
    this.said(this.isPaused ? "paused" : isRunning ? "live" : "idle");
  }

  private query(): string {
    return `runs ${literals(this.runs.shown)} | show state, metrics, attr(sys/last_write)`;
  }

  private connect(): void {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/api/watch`);
    let wasOpen = false;
    socket.addEventListener("open", () => {
      wasOpen = true;
      this.socket = socket;
      if (currentToken()) socket.send(JSON.stringify({ token: currentToken() }));
      this.begin();
    });
    socket.addEventListener("message", (event) => this.told(String(event.data)));
    socket.addEventListener("close", () => {
      this.socket = null;
      this.isWatching = false;
      // A server that has never watched is asked; one that has gone comes back.
      if (wasOpen) setTimeout(() => this.connect(), POLL);
    });
  }

  private begin(): void {
    this.say();
    this.seen = "";
    if (!this.socket) return;
    if (this.request > 0) this.socket.send(JSON.stringify({ id: this.request, cancel: true }));
    this.isWatching = false;
    if (this.runs.shown.length === 0) return;
    this.socket.send(JSON.stringify({ id: ++this.request, query: this.query(), parameters: {} }));
  }

  private told(text: string): void {
    const message = JSON.parse(text) as { id?: number; kind?: string; error?: unknown };
    if (message.id !== this.request) return;
    if (message.error) {
      this.isWatching = false;
      return;
    }
    // The first one, too: rows may have come since the charts were asked for.
    this.isWatching = true;
    this.trigger();
  }

  private async poll(): Promise<void> {
    if (this.isWatching || this.isPaused || document.hidden || this.runs.shown.length === 0) return;
    try {
      const answer = await ask(this.query());
      const seen = JSON.stringify(answer.values);
      const isSame = this.seen === seen;
      this.seen = seen;
      if (!isSame) this.trigger();
      this.say();
    } catch (error) {
      this.said(error instanceof QueryError ? "idle" : "offline");
    }
  }

  private listAgain(): void {
    // A list of tens of thousands costs more than it tells every five seconds.
    if (this.isPaused || document.hidden || this.runs.list.length > 5000) return;
    void this.runs.load().then(() => this.say());
  }

  // Once a second at most, however often rows come.
  private trigger(): void {
    if (this.isPaused || this.due !== 0) return;
    const wait = Math.max(0, this.last + REFRESH_MIN - performance.now());
    this.due = window.setTimeout(() => {
      this.due = 0;
      this.last = performance.now();
      if (!this.isPaused && !document.hidden) this.refresh();
    }, wait);
  }
}
