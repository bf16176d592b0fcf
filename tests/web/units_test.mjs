// The parts of the page that need no browser: what it asks, and how it reads what is typed.

import { createRequire } from "node:module";
import { test } from "node:test";
import assert from "node:assert/strict";

const modules = process.env.STEPDB_WEB_MODULES;
const { buildSync } = createRequire(`${modules}/`)("esbuild");

async function load(name) {
  const { outputFiles } = buildSync({
    entryPoints: [`${modules}/src/${name}.ts`], bundle: true, format: "esm", write: false,
  });
  return import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`);
}

const words = await load("words");
const queries = await load("chart_query");
const data = await load("chart_data");
const format = await load("format");

test("names are literals, whatever is in them", () => {
  assert.equal(words.literal('a "b" $c'), '"a ""b"" $c"');
});

test("the filter is a part of a name, or the query language", () => {
  const ours = '** where project != "stepdb-dashboards"';
  for (const [typed, asked] of [
    ["", ours],
    ["  ", ours],
    ["lr1e", "**lr1e**"],
    ["gpt run", "**gpt**run**"],
    ["gpt/*", "gpt/*"],
    ["gpt/* where tag good", "gpt/* where tag good"],
    ["where state = failed", "** where state = failed"],
    ["config/lr >= 3e-4", "** where config/lr >= 3e-4"],
    ["tag sweep", "** where tag sweep"],
    ["a/b, c/d", "a/b, c/d"],
    ['~"run-[12]$"', '~"run-[12]$"'],
  ]) {
    assert.equal(words.runsOf(typed), asked, typed);
  }
});

test("the search finds words in order, globs and regular expressions", () => {
  const names = ["train/loss", "val/loss", "layers/1/attn/grad_norm", "layers/12/mlp/grad_norm", "lr"];
  const found = (search) => names.filter(words.finds(search));
  assert.deepEqual(found(""), names);
  assert.deepEqual(found("LOSS"), ["train/loss", "val/loss"]);
  assert.deepEqual(found("loss train"), []);
  assert.deepEqual(found("lay norm"), names.slice(2, 4));
  assert.deepEqual(found("layers/*/mlp/*"), [names[3]]);
  assert.deepEqual(found("layers/{l}/*"), []);
  assert.deepEqual(found("layers/**"), names.slice(2, 4));
  assert.deepEqual(found('~"^(train|val)/"'), names.slice(0, 2));
  assert.deepEqual(found("~("), []); // it is being typed
});

test("a chart asks for a bucket a pixel, and for its range exactly", () => {
  const state = { x: "step", logX: false, from: 1000, to: 2000.5, smoothing: 0.9, attempts: false, runs: "" };
  const wanted = { metric: "train/loss", isTimed: false, runs: ["p/a", "p/b"], width: 300.4 };
  assert.equal(
    queries.chartQuery(state, wanted),
    '"train/loss" @ "p/a", "p/b" | steps 1000..2000.5 | buckets 300 count, nan, pinf, ninf, min, max, mean, min_x');
  assert.equal(
    queries.chartQuery(state, wanted, 0.9),
    '"train/loss" @ "p/a", "p/b" | steps 1000..2000.5 | ema 0.9 | buckets 300 mean');
  // Telemetry has no steps: a range of these is none of its own.
  assert.doesNotMatch(queries.chartQuery(state, { ...wanted, isTimed: true }), /steps|x time/);
  assert.match(queries.chartQuery({ ...state, x: "tokens", logX: true }, wanted),
    /\| when hold\("tokens"\) >= 1000 and hold\("tokens"\) <= 2000.5 \| x hold\("tokens"\) \| log-x \| buckets 300/);
  assert.match(queries.chartQuery({ ...state, x: "time" }, wanted), /\| time 1000us\.\.2001us \| x time \|/);
  assert.match(queries.groupQuery({ ...state, runs: "gpt/* where tag a" }, wanted, "config/lr"),
    /@ gpt\/\* where tag a \|.*\| buckets 150 mean \| group by config\/lr mean, min, max, count$/);
  assert.match(queries.groupQuery(state, wanted, "my lr"), /group by "my lr" mean/);
  assert.match(queries.groupQuery(state, wanted, "config/lr", "nan"),
    / \| buckets 150 nan \| group by config\/lr sum$/);
  const many = { ...wanted, runs: Array.from({ length: 500 }, (_, i) => `p/${i}`) };
  assert.match(queries.chartQuery(state, many), /buckets 200 count, nan, pinf, ninf, min, max$/);
});

// As api.ts makes it of what the server says.
function answer(columns, rows) {
  const names = columns.split(" ");
  const values = names.map((_, index) => rows.map((row) => row[index]));
  const column = (name) => values[names.indexOf(name)];
  return {
    columns: names.map((name) => ({ name })), rows: rows.length, values, notes: [], milliseconds: 1,
    has: (name) => names.includes(name), column, texts: column,
    numbers: (name) => Float64Array.from(column(name), (cell) => (cell === null ? NaN : Number(cell))),
  };
}

test("answers become lines, in which what is not finite has its place", () => {
  const made = data.runsData(answer("run metric lo hi count nan pinf ninf min max mean min_x", [
    ["p/a", "m", 0, 10, 1, 0, 0, 0, 2, 2, 2, 3],
    ["p/a", "m", 10, 20, 0, 2, 1, 0, null, null, null, null],
    ["p/a#0", "m", 0, 10, 4, 0, 0, 0, -1, 5, 2, 3],
    ["p/a#0", "m", 10, 20, 0, 0, 0, 0, null, null, null, null],
  ]), null, "number");
  assert.equal(made.lines.length, 2);
  const [newest, older] = made.lines;
  assert.deepEqual([newest.label, older.label, older.key], ["p/a", "p/a#0", "p/a"]);
  assert.deepEqual([...newest.x], [3, 15]); // its only point, the middle of the bucket
  assert.deepEqual([newest.nan[1], newest.pinf[1], newest.count[1]], [2, 1, 0]);
  assert.deepEqual(data.extentOf(made, false, false), { min: -1, max: 5 });
  assert.deepEqual(data.extentOf(made, true, false), { min: 2, max: 5 }); // -1 has no logarithm
  assert.equal(data.nearestIn(newest, 19), 1); // NaN is something
  assert.equal(data.nearestIn(older, 19), 0);
});

test("the chart of a query has the edges of its buckets, or the places of its points", () => {
  const edges = (...given) => Object.values(data.edgesOf(...given)).map((one) => [...one]);
  assert.deepEqual(edges(Float64Array.of(0, 10, 0, 10), Float64Array.of(10, 20, 10, 20), [0, 1], 1), [[0, 10], [10, 20]]);
  assert.deepEqual(edges(Float64Array.of(1e6, 5e6, 3e6, 1e6), null, [0, 1], 1e6), [[1, 3, 5], [1, 3, 5]]);
});

test("of groups what a mean leaves out is counted, if it is of the same buckets", () => {
  const means = answer("config/lr lo hi mean min max count", [
    [0.1, 0, 10, 2, 1, 3, 2], [0.1, 10, 20, null, null, null, 0], [0.3, 0, 10, 4, 4, 4, 1], [0.3, 10, 20, 5, 5, 5, 1],
  ]);
  assert.equal(data.hasLeftOut(means), false);
  means.notes.push("`group by` left out 60 points of 1 series that are not finite");
  assert.equal(data.hasLeftOut(means), true);
  const counted = (...sums) => answer("sum", sums.map((sum) => [sum]));
  const made = data.groupsData(means, "number", [counted(0, 60, 0, 0), counted(null, 0, 0, 1), counted(0, 0)]);
  assert.deepEqual(made.lines.map((line) => [...line.nan]), [[0, 60], [0, 0]]);
  assert.deepEqual(made.lines.map((line) => [...line.pinf]), [[0, 0], [0, 1]]);
  assert.deepEqual(made.lines.map((line) => [...line.ninf]), [[0, 0], [0, 0]]); // another grid
});

test("a range is written before the buckets of a query", () => {
  for (const [query, stage, ranged] of [
    ["a @ r | buckets 9", "steps 1..5", "a @ r | steps 1..5 | buckets 9"],
    ["a @ r | ema 0.9 | buckets 9 mean | across", "steps 1.5..2", "a @ r | ema 0.9 | steps 1.5..2 | buckets 9 mean | across"],
    ["a @ r | steps 0..100 | buckets 9", "steps 1..5", "a @ r | steps 1..5 | buckets 9"],
    ["a @ r | steps 1e3..2e3 | buckets 9", "steps 1200..1500", "a @ r | steps 1200..1500 | buckets 9"],
    ["a @ r | steps fork.. | buckets 9", "steps 1..5", "a @ r | steps fork.. | steps 1..5 | buckets 9"],
    ["a @ r | time 1us..9us | buckets 9", "time 2us..3us", "a @ r | time 2us..3us | buckets 9"],
    ["(a @ r | buckets 9) - (b @ r) | buckets 5", "steps 1..5", "(a @ r | buckets 9) - (b @ r) | steps 1..5 | buckets 5"],
    ['"x | buckets 1" @ r | buckets 9', "steps 1..5", '"x | buckets 1" @ r | steps 1..5 | buckets 9'],
    ["a @ r | last 5", "steps 1..5", null],
    ["a @ r", "steps 1..5", null],
  ]) {
    assert.equal(words.withRange(query, stage), ranged, query);
  }
});

test("numbers and marks read well", () => {
  for (const [value, text] of [
    [NaN, "NaN"], [-Infinity, "-Inf"], [0, "0"], [123457, "123 457"], [0.1 + 0.2, "0.3"],
    [1.5e-7, "1.5e-7"], [5.33741234e29, "5.3374e+29"],
  ]) {
    assert.equal(format.formatNumber(value), text);
  }
  for (const [value, text] of [
    [0.30000000000000004, "0.3"], [1000, "1000"], [25000, "25k"], [1500000, "1.5M"], [2e9, "2B"], [1e-4, "1e-4"],
  ]) {
    assert.equal(format.formatAxis(value), text);
  }
  assert.equal(format.formatSpan(7265), "2 h 1 min");
});
