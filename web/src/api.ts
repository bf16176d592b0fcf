// Questions to the server: those that are asked in the same moment go in one request.

import { Packed, Told, ToWorker } from "./packed";

export interface Column {
  name: string;
  type: string;
}

export type Cell = string | number | boolean | null;

interface Plain {
  columns: Column[];
  rows: number;
  values: Cell[][];
  notes?: string[];
  milliseconds?: number;
}

export class QueryError extends Error {
  constructor(
    message: string,
    readonly code: string,
    readonly begin?: number,
    readonly end?: number,
  ) {
    super(message);
  }
}

export class Answer {
  readonly columns: Column[];
  readonly rows: number;
  readonly values: Cell[][];
  readonly notes: string[];
  readonly milliseconds: number;

  private readonly packed: Packed | null;

  constructor(told: Plain | Packed) {
    this.columns = told.columns;
    this.rows = told.rows;
    this.values = "values" in told ? told.values : [];
    this.packed = "values" in told ? null : told;
    this.notes = told.notes ?? [];
    this.milliseconds = told.milliseconds ?? 0;
  }

  has(name: string): boolean {
    return this.columns.some((column) => column.name === name);
  }

  private indexOf(name: string): number {
    const index = this.columns.findIndex((column) => column.name === name);
    if (index < 0) throw new QueryError(`the answer has no column ${name}`, "internal");
    return index;
  }

  // Not of a packed one.
  column(name: string): Cell[] {
    return this.values[this.indexOf(name)]!;
  }

  texts(name: string): string[] {
    const index = this.indexOf(name);
    if (!this.packed) return this.values[index] as string[];
    const texts: string[] = [];
    for (const [text, rows] of this.packed.texts[index] ?? []) {
      for (let row = 0; row < rows; ++row) texts.push(text);
    }
    return texts;
  }

  // As float64; what is absent is NaN, so this is for columns in which NaN says nothing else.
  numbers(name: string): Float64Array {
    if (this.packed) return this.packed.numbers[this.indexOf(name)]!;
    const cells = this.column(name);
    const numbers = new Float64Array(cells.length);
    for (let row = 0; row < cells.length; ++row) {
      const cell = cells[row];
      numbers[row] = typeof cell === "number" ? cell : cell === null ? NaN : Number(cell);
    }
    return numbers;
  }
}

interface Waiting {
  query: string;
  signal?: AbortSignal;
  resolve: (answer: Answer) => void;
  reject: (error: unknown) => void;
}

const BATCH_MAX = 24; // several requests beside each other are answered sooner than one large one
const LETTERS_MAX = 200_000; // of a request, which has 1 MiB at most

let waiting: Waiting[] = [];
let token = sessionStorage.getItem("stepdb-token") ?? "";
let askForToken: (() => Promise<string>) | null = null;

export function onTokenNeeded(ask: () => Promise<string>): void {
  askForToken = ask;
}

export function currentToken(): string {
  return token;
}

export function ask(query: string, signal?: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    if (waiting.length === 0) queueMicrotask(flush);
    waiting.push({ query, signal, resolve, reject });
  });
}

function flush(): void {
  const asked = waiting.filter((one) => !one.signal?.aborted);
  for (const one of waiting) if (one.signal?.aborted) one.reject(aborted());
  waiting = [];
  let batch: Waiting[] = [];
  let letters = 0;
  for (const one of asked) {
    const isFull = batch.length === BATCH_MAX || letters + one.query.length > LETTERS_MAX;
    if (batch.length > 0 && isFull) {
      void askTogether(batch);
      [batch, letters] = [[], 0];
    }
    batch.push(one);
    letters += one.query.length;
  }
  if (batch.length > 0) void askTogether(batch);
}

function aborted(): DOMException {
  return new DOMException("no longer wanted", "AbortError");
}

export function isAborted(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

// Gives up what nobody waits for any more, and the request when that is all of it.
function heedAborts(asked: Waiting[], abort: () => void): void {
  let wanted = asked.length;
  for (const one of asked) {
    one.signal?.addEventListener("abort", () => {
      one.reject(aborted());
      if (--wanted === 0) abort();
    });
  }
}

function bodyOf(asked: Waiting[]): string {
  return JSON.stringify({ queries: asked.map((one) => ({ query: one.query })) });
}

let worker: Worker | null = null;
let requests = 0;
const inWorker = new Map<number, Waiting>();

function send(message: ToWorker): void {
  if (!worker) {
    worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
    worker.addEventListener("message", (event: MessageEvent<Told>) => told(event.data));
  }
  worker.postMessage(message);
}

// The same for many numbers, such as those of a chart: they come in binary, and are decoded in a
// worker beside the page.
export function askPacked(query: string, signal?: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(aborted());
    const request = ++requests;
    const one: Waiting = { query, signal, resolve, reject };
    inWorker.set(request, one);
    heedAborts([one], () => send({ request, abort: true }));
    send({ request, query, token });
  });
}

function told(message: Told): void {
  const one = inWorker.get(message.request)!;
  inWorker.delete(message.request);
  if ("packed" in message) return one.resolve(new Answer(message.packed));
  // A token is asked for in the page, which then asks by itself.
  if (message.status === 401 && askForToken) return void askTogether([one]);
  if (message.status === 0) one.reject(new TypeError(message.text));
  else one.reject(errorFrom(message.status, message.text));
}

async function askTogether(asked: Waiting[]): Promise<void> {
  const request = new AbortController();
  heedAborts(asked, () => request.abort());
  try {
    const body = bodyOf(asked);
    const response = await post("/api/queries", body, request.signal);
    await readLines(response, (line) => {
      const answer = JSON.parse(line) as { index: number } & Plain & ErrorBody;
      const one = asked[answer.index];
      if (!one) return;
      if (answer.error) one.reject(errorOf(answer));
      else one.resolve(new Answer(answer));
    });
    for (const one of asked) one.reject(new QueryError("the answer ended too early", "internal"));
  } catch (error) {
    for (const one of asked) one.reject(error);
  }
}

interface ErrorBody {
  error?: { code?: string; message: string; begin?: number; end?: number };
}

function errorOf(body: ErrorBody): QueryError {
  const error = body.error ?? { message: "unknown" };
  return new QueryError(error.message, error.code ?? "unknown", error.begin, error.end);
}

function errorFrom(status: number, text: string): QueryError {
  try {
    return errorOf(JSON.parse(text) as ErrorBody);
  } catch {
    // Not from StepDB but from something on the way; its words are shown as they are.
    return new QueryError(`${status} ${text.slice(0, 200)}`, "unknown");
  }
}

// Sends it; with a token, if the server wants one.
export async function post(path: string, body: string, signal?: AbortSignal): Promise<Response> {
  for (;;) {
    const headers: Record<string, string> = { "Content-Type": "application/json" };
    if (token) headers["Authorization"] = `Bearer ${token}`;
    const response = await fetch(path, { method: "POST", body, headers, signal });
    if (response.ok) return response;
    if (response.status === 401 && askForToken) {
      token = await askForToken();
      sessionStorage.setItem("stepdb-token", token);
      continue;
    }
    throw errorFrom(response.status, await response.text());
  }
}

// Lines of a response as they come.
async function readLines(response: Response, take: (line: string) => void): Promise<void> {
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  let pieces: string[] = [];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const text = decoder.decode(value, { stream: true });
    let begin = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", begin)) {
      pieces.push(text.slice(begin, end));
      const line = pieces.join("");
      pieces = [];
      begin = end + 1;
      if (line.trim() !== "") take(line);
    }
    pieces.push(text.slice(begin));
  }
  const rest = pieces.join("");
  if (rest.trim() !== "") take(rest);
}

export async function ingest(body: unknown): Promise<void> {
  await post("/api/ingest", JSON.stringify(body));
}
