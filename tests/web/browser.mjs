// A headless Chromium, and what steps on the page share.

import { createRequire } from "node:module";
import { execFileSync } from "node:child_process";
import assert from "node:assert/strict";

const require = createRequire(`${process.env.STEPDB_WEB_MODULES}/`);
const { chromium } = require("playwright-core");

export const PAGE = process.env.STEPDB_PAGE;

export function launch() {
  // In containers there are no user namespaces for Chromium's sandbox; the page is our own.
  const args = ["--no-sandbox", "--disable-dev-shm-usage"];
  return chromium.launch({ executablePath: process.env.STEPDB_CHROMIUM ?? "/usr/bin/chromium", args });
}

export function stepdb(...words) {
  return execFileSync(process.env.STEPDB_BIN, words, { encoding: "utf8" });
}

// What the browser complains of: errors of scripts, refusals by the content security policy.
export function complaints(page) {
  const said = [];
  page.on("pageerror", (error) => said.push(`${error.message}\n${error.stack}`));
  page.on("console", (message) => {
    const text = message.text();
    // Where there is no watching yet, the page asks instead.
    if (message.type() === "error" && !/\/api\/watch/.test(text)) said.push(text);
  });
  return said;
}

// Until it holds. Playwright's own waitForFunction is an `eval`, which the page's policy forbids.
export async function until(holds, what, seconds = 20) {
  const end = Date.now() + 1000 * seconds;
  while (!(await holds())) {
    assert.ok(Date.now() < end, `not within ${seconds} s: ${what}`);
    await new Promise((resume) => setTimeout(resume, 20));
  }
}

export function chart(page, metric) {
  return page.locator(`.card[data-metric=${JSON.stringify(metric)}]`);
}

export async function drawn(page, metric) {
  const card = page.locator(`.card[data-metric=${JSON.stringify(metric)}][data-drawn]`);
  await card.waitFor();
  return card;
}

// The area of the plot, in pixels of the page.
export async function plotOf(card) {
  const box = await card.locator(".u-over").boundingBox();
  assert.ok(box, "the chart is drawn");
  return box;
}

export async function hover(page, box, x, y = 0.5) {
  const at = [box.x + box.width * x, box.y + box.height * y];
  await page.mouse.move(at[0] - 2, at[1]);
  await page.mouse.move(at[0], at[1]);
  return page.locator(".tooltip.seen");
}

export async function drag(page, box, from, to) {
  const y = box.y + box.height / 2;
  await page.mouse.move(box.x + box.width * from, y);
  await page.mouse.down();
  await page.mouse.move(box.x + (box.width * (from + to)) / 2, y, { steps: 3 });
  await page.mouse.move(box.x + box.width * to, y, { steps: 3 });
  await page.mouse.up();
}

// How many pixels of a part of the chart have this colour, nearly.
export function pixels(card, color, part) {
  return card.locator("canvas").evaluate(
    (canvas, [wanted, [left, top, right, bottom]]) => {
      const [width, height] = [canvas.width, canvas.height];
      const [x, y] = [Math.floor(left * width), Math.floor(top * height)];
      const wide = Math.ceil((right - left) * width);
      const high = Math.ceil((bottom - top) * height);
      const { data } = canvas.getContext("2d").getImageData(x, y, wide, high);
      let many = 0;
      for (let at = 0; at < data.length; at += 4) {
        const isNear = [0, 1, 2].every((i) => Math.abs(data[at + i] - wanted[i]) < 24);
        if (isNear && data[at + 3] > 200) ++many;
      }
      return many;
    },
    [color, part],
  );
}

export async function colorOf(page, run) {
  const swatch = page.locator(`.row[data-run=${JSON.stringify(run)}] .eye`);
  const text = await swatch.evaluate((one) => getComputedStyle(one).backgroundColor);
  return text.match(/\d+/g).slice(0, 3).map(Number);
}
