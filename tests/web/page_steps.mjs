// Uses the page as people do, in a real browser against a real server. Run by page_test.py.

import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import {
  chart, colorOf, complaints, drag, drawn, hover, launch, PAGE, pixels, plotOf, stepdb, until,
} from "./browser.mjs";

const SPIKE = 123457; // as in page_stores.py
let browser;

before(async () => {
  browser = await launch();
});

after(() => browser.close());

async function open(hash, options = {}) {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, ...options });
  page.setDefaultTimeout(20000);
  const said = complaints(page);
  await page.goto(`${PAGE}#${hash}`);
  return { page, said };
}

async function close(page, said) {
  assert.deepEqual(said, []);
  await page.close();
}

test("the first chart is there, and runs are listed as the filter says", async () => {
  const { page, said } = await open("/charts");
  await page.locator(".card[data-drawn]").first().waitFor();
  const filter = page.locator("aside.runs input[type=search]");
  await filter.fill("sweep/* where config/lr >= 0.03");
  await page.locator('.row[data-run="sweep/lr3e-2-s1"]').waitFor();
  await until(async () => (await page.locator(".row").count()) === 1, "one run");
  await filter.fill("sweep/* where confg/lr > 1");
  await page.locator("aside.runs .error", { hasText: "config/lr" }).waitFor();
  await filter.fill("fleet/*");
  await page.locator(".runs-bar .many", { hasText: "1 000 runs" }).waitFor();
  const rows = await page.locator(".row").count();
  assert.ok(rows > 20 && rows < 120, `only what is on the screen is in the page, not ${rows} rows`);
  await close(page, said);
});

test("a metric is found, and runs are overlaid", async () => {
  const { page, said } = await open("/charts?runs=fleet/*&shown=20");
  await page.locator(".card[data-drawn]").first().waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("000042");
  const card = await drawn(page, "bench/000042");
  assert.equal(await page.locator(".card[data-metric]").count(), 1);
  await until(async () => (await card.getAttribute("data-lines")) === "20", "20 lines");
  assert.match(page.url(), /metrics=000042/);
  await close(page, said);
});

test("zooming in shows a single spike of 200,000 steps, exactly", async () => {
  const { page, said } = await open("/charts?runs=spike/*");
  let box = await plotOf(await drawn(page, "signal"));
  const whole = SPIKE / 199999;
  // At first in a bucket with hundreds of others: its extreme is what is seen.
  const tooltip = await hover(page, box, whole);
  await tooltip.filter({ hasText: /1 000/ }).waitFor();
  await drag(page, box, whole - 0.02, whole + 0.02);
  await page.waitForURL(/from=/);
  const range = () => {
    const [, from, to] = page.url().match(/from=([\d.]+)&to=([\d.]+)/).map(Number);
    return [from, to];
  };
  // In again to some dozens of steps, each of which is a pixel or more.
  for (;;) {
    const [from, to] = range();
    assert.ok(from <= SPIKE && SPIKE <= to, `the spike is in ${from} to ${to}`);
    if (to - from < 60) break;
    box = await plotOf(chart(page, "signal"));
    const at = (SPIKE - from) / (to - from);
    const before = page.url();
    await drag(page, box, Math.max(0, at - 0.06), Math.min(1, at + 0.06));
    await page.waitForURL((url) => url.href !== before);
  }
  const [from, to] = range();
  box = await plotOf(chart(page, "signal"));
  const seen = await hover(page, box, (SPIKE - from) / (to - from));
  await seen.filter({ hasText: /123 457/ }).filter({ hasText: /1 000/ }).waitFor();
  await page.keyboard.press("0");
  await page.waitForURL((url) => !url.href.includes("from="));
  await close(page, said);
});

test("NaN and infinities are marked where they are", async () => {
  const { page, said } = await open("/charts?runs=sweep/lr3e-2-s1&metrics=grad_norm&size=l");
  const card = await drawn(page, "grad_norm");
  const color = await colorOf(page, "sweep/lr3e-2-s1");
  const box = await plotOf(card);
  const all = await card.boundingBox();
  const canvas = await card.locator("canvas").boundingBox();
  // From step 378 of 437 on every value is NaN: on the floor of the plot, and there alone.
  const floor = (box.y + box.height - canvas.y) / canvas.height;
  const share = (step) => (box.x - canvas.x + ((step - 1) / 436) * box.width) / canvas.width;
  const bottom = [floor - 8 / canvas.height, floor];
  const marks = await pixels(card, color, [share(380), bottom[0], share(437), bottom[1]]);
  assert.ok(marks > 100, `${marks} pixels of marks in a chart of ${all.width}`);
  const top = (box.y - canvas.y) / canvas.height;
  const arrows = await pixels(card, color, [share(340), top, share(378), top + 10 / canvas.height]);
  assert.ok(arrows > 10, `${arrows} pixels of arrows`);
  const tooltip = await hover(page, box, (400 - 1) / 436);
  await tooltip.filter({ hasText: "NaN" }).waitFor();
  await close(page, said);
});

test("of groups too, though their mean leaves them out", async () => {
  const { page, said } = await open("/charts?runs=sweep/lr3e-2-*&metrics=grad_norm&size=l&group=config/lr");
  const card = await drawn(page, "grad_norm");
  const box = await plotOf(card);
  const tooltip = await hover(page, box, (400 - 1) / 436);
  await tooltip.filter({ hasText: "NaN" }).waitFor();
  const shown = await tooltip.locator(".swatch").first().evaluate((one) => getComputedStyle(one).backgroundColor);
  const color = shown.match(/\d+/g).slice(0, 3).map(Number);
  const canvas = await card.locator("canvas").boundingBox();
  const floor = (box.y + box.height - canvas.y) / canvas.height;
  const share = (step) => (box.x - canvas.x + ((step - 1) / 436) * box.width) / canvas.width;
  const marks = (from, to) => pixels(card, color, [share(from), floor - 8 / canvas.height, share(to), floor]);
  assert.ok((await marks(382, 437)) > 100, "crosses and a bar where it is NaN");
  assert.ok((await marks(1, 300)) < 20, "and nowhere else");
  await close(page, said);
});

test("notes are flags on the chart, and told under the pointer", async () => {
  stepdb("set", "sweep/rescue", "note/step/1000=learning rate halved");
  const { page, said } = await open("/charts?runs=sweep/rescue&metrics=val/loss&size=l");
  const card = await drawn(page, "val/loss");
  const box = await plotOf(card);
  await until(async () => {
    const tooltip = await hover(page, box, (1000 - 100) / 1900);
    return /learning rate halved/.test(await tooltip.textContent());
  }, "the note's text");
  const canvas = await card.locator("canvas").boundingBox();
  const x = (box.x - canvas.x + box.width * (900 / 1900)) / canvas.width;
  const top = (box.y - canvas.y) / canvas.height;
  const color = await colorOf(page, "sweep/rescue");
  const flag = await pixels(card, color, [x, top, x + 8 / canvas.width, top + 7 / canvas.height]);
  assert.ok(flag > 8, `${flag} pixels of a flag`);
  await close(page, said);
});

test("a run that is being written is followed", async () => {
  const log = (step) =>
    stepdb("log", "--project", "live", "--run", "now", "--step", String(step), `loss=${step / 2}`);
  log(0);
  log(1);
  const { page, said } = await open("/charts?runs=live/*");
  const card = await drawn(page, "loss");
  await page.locator(".state.running").waitFor();
  log(100);
  // On the right of the chart is now step 100.
  await until(async () => {
    const tooltip = await hover(page, await plotOf(card), 0.999);
    return (await tooltip.locator(".where").textContent()) === "100";
  }, "step 100 on the right of the chart");
  await close(page, said);
});

test("the layers view is one query, and a click leads to the layer", async () => {
  const { page, said } = await open("/layers?runs=sweep/lr3e-2-s1&layers=layers/{l}/grad_norm");
  await page.locator('main.layers[data-drawn="true"][data-rows="6"]').waitFor();
  const map = await page.locator(".map canvas").boundingBox();
  // The row of the third of six layers.
  await page.mouse.click(map.x + map.width / 2, map.y + (map.height - 22) * (2.5 / 6));
  await page.locator('.below .card[data-metric="layers/2/grad_norm"][data-drawn]').waitFor();
  await close(page, said);
});

test("runs are compared: attributes that differ, and the mean of groups", async () => {
  const { page, said } = await open("/compare?runs=sweep/lr*&group=config/lr&open=val/loss");
  await page.locator("main.compare[data-drawn]").waitFor();
  await page.locator(".grid tr.differs, .grid tr", { hasText: "config/seed" }).waitFor();
  assert.equal(await page.locator(".grid th", { hasText: "config/width" }).count(), 0);
  const grouped = page.locator('.pair .card[data-lines="4"][data-drawn]');
  await grouped.waitFor(); // four learning rates
  await close(page, said);
});

test("any query is answered, as a table and as a chart; an error has its place", async () => {
  const { page, said } = await open("/query");
  await page.locator("textarea").fill("train/loss @ sweep/lr1e-2-s* | buckets 100 min, max, mean");
  await page.keyboard.press("Control+Enter");
  await page.locator('main.query[data-drawn="300"]').waitFor();
  assert.ok(await page.locator(".answer-chart canvas").isVisible());
  await page.locator(".tr", { hasText: "sweep/lr1e-2-s1" }).first().waitFor();
  await page.locator("textarea").fill("train/loss @ sweep/* | bucket 10");
  await page.keyboard.press("Control+Enter");
  await page.locator(".query .error", { hasText: "buckets" }).waitFor();
  await close(page, said);
});

test("a chart of the query box asks again when it is zoomed, and back", async () => {
  const { page, said } = await open("/query");
  const text = "train/loss @ sweep/lr1e-2-s* | buckets 100 min, max, mean";
  const box = page.locator("textarea");
  await box.fill(text);
  await page.keyboard.press("Control+Enter");
  const drawnRows = page.locator('main.query[data-drawn="300"]');
  await drawnRows.waitFor();
  const zoom = async (from, to) => {
    const before = await box.inputValue();
    await drag(page, await plotOf(page.locator(".answer-chart")), from, to);
    await until(async () => (await box.inputValue()) !== before, "another query in the box");
    const [, lo, hi] = (await box.inputValue()).match(/^train\/loss @ sweep\/lr1e-2-s\* \| steps (\d+)\.\.(\d+) \| buckets 100 min, max, mean$/);
    // The table is of the new answer: its first bucket begins where the range does.
    await page.locator(".answer .rows .tr").first().locator("span").nth(2).filter({ hasText: new RegExp(`^${lo}$`) }).waitFor();
    return [Number(lo), Number(hi)];
  };
  const [lo, hi] = await zoom(0.25, 0.5);
  assert.ok(lo > 400 && lo < 600 && hi > 900 && hi < 1100, `${lo} to ${hi} of 1 to 2000`);
  const [nearer, near] = await zoom(0.4, 0.6);
  assert.ok(nearer > lo && near < hi && near - nearer < 150, `${nearer} to ${near} of ${lo} to ${hi}`);
  const chart = await plotOf(page.locator(".answer-chart"));
  await page.mouse.dblclick(chart.x + chart.width / 2, chart.y + chart.height / 2);
  await until(async () => (await box.inputValue()) === text, "the query as it was typed");
  await page.locator(".answer .rows .tr").first().locator("span").nth(2).filter({ hasText: /^1$/ }).waitFor();
  await close(page, said);
});

test("an address shows what its sender saw, and a dashboard is kept in the store", async () => {
  const sender = await open("/charts?runs=sweep/*&shown=5");
  const box = await plotOf(await drawn(sender.page, "val/loss"));
  await drag(sender.page, box, 0.3, 0.6);
  await sender.page.waitForURL(/from=/);
  await sender.page.keyboard.press("l");
  const address = sender.page.url();
  const receiver = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  const said = complaints(receiver);
  await receiver.goto(address);
  await drawn(receiver, "val/loss");
  assert.equal(await receiver.locator('button[aria-pressed="true"]', { hasText: "log y" }).count(), 1);
  const words = (page) => page.locator("button.range").textContent();
  assert.equal(await words(receiver), await words(sender.page));

  await receiver.locator("button", { hasText: "Dashboards" }).click();
  await receiver.locator(".menu input").fill("my view");
  await receiver.keyboard.press("Enter");
  await receiver.locator(".saved .entry", { hasText: "my_view" }).waitFor();
  const later = await open("/charts");
  await later.page.locator("button", { hasText: "Dashboards" }).click();
  await later.page.locator(".saved .entry", { hasText: "my_view" }).click();
  await later.page.waitForURL(/logY=true/);
  assert.equal(new URL(later.page.url()).hash, new URL(address).hash);
  await close(sender.page, sender.said);
  await close(receiver, said);
  await close(later.page, later.said);
});

test("markup in the names of runs, metrics and attributes stays text", async () => {
  const { page, said } = await open("/charts?runs=hostile/*");
  await page.locator(".card[data-drawn]").first().waitFor();
  assert.match(await page.locator(".card h3").first().textContent(), /<img src=x/);
  assert.match(await page.locator(".row .name").first().textContent(), /<b>run<b>/);
  await hover(page, await plotOf(page.locator(".card").first()), 0.5);
  for (const view of ["compare", "layers", "query"]) {
    await page.goto(`${PAGE}#/${view}?runs=hostile/*&query=attributes+hostile/*`);
    await page.locator("nav button[aria-current=true]", { hasText: new RegExp(view, "i") }).waitFor();
  }
  await page.locator(".tr", { hasText: "<script>" }).first().waitFor();
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  assert.equal(await page.locator("img, .row b, .tr script").count(), 0);
  await close(page, said);
});

test("dark and light, and nothing from elsewhere", async () => {
  for (const colorScheme of ["dark", "light"]) {
    const { page, said } = await open("/charts?runs=sweep/*", { colorScheme });
    const asked = [];
    page.on("request", (request) => asked.push(request.url()));
    await page.reload();
    await page.locator(".card[data-drawn]").first().waitFor();
    assert.ok(asked.length > 3 && asked.every((url) => url.startsWith(PAGE)), asked.join("\n"));
    const level = await page.evaluate(() =>
      getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number)[0]);
    assert.equal(level < 128, colorScheme === "dark");
    await close(page, said);
  }
});
