// Measures the page in a headless Chromium: how soon the first chart is there, how soon a zoom is
// answered, how smoothly a long page of many lines scrolls. Started by web/bench/run.

import { complaints, launch, PAGE, until } from "../../tests/web/browser.mjs";

const ROUNDS = Number(process.env.ROUNDS ?? 20);

function at(numbers, share) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

function tell(what, numbers) {
  const figures = [0.5, 0.95, 1].map((share) => at(numbers, share).toFixed(1));
  console.log(`| ${what} | ${figures.join(" | ")} | ${numbers.length} |`);
}

const browser = await launch();

async function open(hash) {
  // A context of its own: nothing is in the browser's cache.
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  const said = complaints(page);
  const begun = performance.now();
  await page.goto(`${PAGE}#${hash}`);
  await page.locator(".card[data-lines]").first().waitFor();
  return { page, said, milliseconds: performance.now() - begun, close: () => context.close() };
}

async function firstChart() {
  const times = [];
  for (let round = 0; round < ROUNDS; ++round) {
    const { milliseconds, close } = await open("/charts?runs=fleet/*&metrics=bench");
    times.push(milliseconds);
    await close();
  }
  tell("first chart of a page of 1,000 runs, from the opening of the address", times);
}

// From the key to the exact answer on the screen.
async function zooms(what, hash, card) {
  const { page, close } = await open(hash);
  await until(async () => (await page.locator(`${card}[data-lines]`).count()) > 0, "the chart");
  const times = [];
  for (let round = 0; round < 2 * ROUNDS; ++round) {
    const key = ["ArrowRight", "ArrowLeft", "+", "-"][round % 4];
    times.push(
      await page.evaluate(
        ([selector, pressed]) =>
          new Promise((resolve) => {
            const one = document.querySelector(selector);
            const begun = performance.now();
            const watcher = new MutationObserver(() => {
              watcher.disconnect();
              requestAnimationFrame(() => resolve(performance.now() - begun));
            });
            watcher.observe(one, { attributeFilter: ["data-answers"] });
            document.dispatchEvent(new KeyboardEvent("keydown", { key: pressed, bubbles: true }));
          }),
        [card, key],
      ),
    );
  }
  tell(what, times);
  await close();
}

// The time between frames while the page is scrolled from its top to its end.
async function scrolling(what, hash) {
  const { page, said, close } = await open(hash);
  const frames = await page.evaluate(async () => {
    const charts = document.querySelector("main.charts");
    const found = [];
    let before = performance.now();
    for (let frame = 0; frame < 400; ++frame) {
      await new Promise((resume) => requestAnimationFrame(resume));
      const now = performance.now();
      found.push(now - before);
      before = now;
      charts.scrollTop += 12;
    }
    return found;
  });
  tell(what, frames);
  if (said.length > 0) throw new Error(said.join("\n"));
  await close();
}

console.log("| milliseconds | median | p95 | most | of |");
console.log("|---|---|---|---|---|");
await firstChart();
await zooms(
  "a zoom or a move, 50 lines in a large chart",
  "/charts?runs=fleet/*&shown=50&open=bench/000007&from=2&to=14",
  '.large .card[data-metric="bench/000007"]',
);
await zooms(
  "a zoom or a move, 10 lines in each of the charts on the screen",
  "/charts?runs=fleet/*&shown=10&from=2&to=14",
  '.board .card[data-metric="bench/000007"]',
);
await scrolling("a frame while 200 charts of 10 lines are scrolled", "/charts?runs=fleet/*&shown=10");
await scrolling("a frame while 200 charts of 500 lines are scrolled", "/charts?runs=fleet/*&shown=500");
await browser.close();
