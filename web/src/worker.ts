// Asks for charts and decodes the answers beside the page, which goes on drawing meanwhile: those of
// hundreds of lines are megabytes.

import { decodeFrames } from "./frames";
import { Told, ToWorker } from "./packed";

const requests = new Map<number, AbortController>();

function tell(told: Told, transfer: Transferable[] = []): void {
  (self as unknown as Worker).postMessage(told, transfer);
}

async function answer(request: number, query: string, token: string): Promise<void> {
  const abort = new AbortController();
  requests.set(request, abort);
  const begun = performance.now();
  const headers: Record<string, string> = { "Content-Type": "application/json" };
  if (token) headers["Authorization"] = `Bearer ${token}`;
  try {
    const body = JSON.stringify({ query, format: "columns" });
    const response = await fetch("/api/query", { method: "POST", body, headers, signal: abort.signal });
    if (!response.ok) {
      return tell({ request, status: response.status, text: await response.text() });
    }
    const packed = decodeFrames(await response.arrayBuffer());
    packed.milliseconds = performance.now() - begun;
    const buffers = packed.numbers.flatMap((numbers) => (numbers ? [numbers.buffer] : []));
    tell({ request, packed }, buffers as ArrayBuffer[]);
  } catch (error) {
    tell({ request, status: 0, text: String(error) });
  } finally {
    requests.delete(request);
  }
}

self.addEventListener("message", (event: MessageEvent<ToWorker>) => {
  const asked = event.data;
  if ("abort" in asked) requests.get(asked.request)?.abort();
  else void answer(asked.request, asked.query, asked.token);
});
