// Puts the page together.

import "./style.css";
import { onTokenNeeded } from "./api";
import { Board } from "./chart_card";
import { ChartsPage } from "./charts_page";
import { ComparePage } from "./compare_page";
import { dashboardsMenu } from "./dashboards";
import { element, replace } from "./dom";
import { listenToKeys, makeSheet } from "./keyboard";
import { Large } from "./large";
import { LayersPage } from "./layers_page";
import { Live } from "./live";
import { Metrics } from "./metrics";
import { QueryPage } from "./query_page";
import { Runs } from "./runs";
import { RunsPanel } from "./runs_panel";
import { change, onChange, state, View } from "./state";
import { makeToolbar } from "./toolbar";

const VIEWS: [View, string][] = [
  ["charts", "Charts"],
  ["layers", "Layers"],
  ["compare", "Compare"],
  ["query", "Query"],
];

function askForToken(): Promise<string> {
  return new Promise((resolve) => {
    const input = element("input", { type: "password", label: "token" });
    const form = element("form", {}, input, element("button", {}, "go on"));
    const box = element(
      "dialog", { class: "sheet" },
      element("h2", {}, "This server wants a token"),
      element("p", {}, "It is kept until this tab is closed. `stepdb token create` makes one."),
      form,
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      box.remove();
      resolve(input.value.trim());
    });
    document.body.append(box);
    box.showModal();
  });
}

function chooseTheme(): void {
  const saved = localStorage.getItem("stepdb-theme");
  if (saved) document.documentElement.dataset["theme"] = saved;
}

function flipTheme(): void {
  const isDark =
    document.documentElement.dataset["theme"] === "dark" ||
    (!document.documentElement.dataset["theme"] &&
      matchMedia("(prefers-color-scheme: dark)").matches);
  const next = isDark ? "light" : "dark";
  document.documentElement.dataset["theme"] = next;
  localStorage.setItem("stepdb-theme", next);
}

function makeTabs(): HTMLElement {
  const tabs = element("nav", { label: "views" });
  for (const [view, text] of VIEWS) {
    const tab = element("button", { type: "button" }, text);
    tab.addEventListener("click", () => change({ view, open: "" }));
    tab.dataset["view"] = view;
    tabs.append(tab);
  }
  return tabs;
}

function makeMenu(): HTMLElement {
  const button = element("button", { type: "button" }, "Dashboards");
  const box = element("div", { class: "menu-box" });
  box.hidden = true;
  button.addEventListener("click", () => {
    box.hidden = !box.hidden;
    if (!box.hidden) replace(box, dashboardsMenu());
  });
  document.addEventListener("mousedown", (event) => {
    if (!box.contains(event.target as Node) && event.target !== button) box.hidden = true;
  });
  return element("div", { class: "menu-root" }, button, box);
}

function start(): void {
  chooseTheme();
  onTokenNeeded(askForToken);
  const runs = new Runs();
  const metrics = new Metrics(runs);
  const board: Board = {
    runs,
    isTimed: (metric) => metrics.isTimed.get(metric) ?? false,
    cards: new Set(),
  };
  const panel = new RunsPanel(runs, metrics);
  const toolbar = makeToolbar(runs, metrics);
  const charts = new ChartsPage(board, metrics);
  const large = new Large(board, () => charts.order);
  const layers = new LayersPage(board, metrics);
  const compare = new ComparePage(board, metrics);
  const query = new QueryPage(runs, metrics);
  const sheet = makeSheet();

  const liveMark = element("button", { type: "button", class: "live", title: "Follow live runs (space)" });
  const live = new Live(
    runs,
    () => {
      charts.refresh();
      large.refresh();
      if (state.view === "layers") void layers.refresh();
      else if (state.view === "compare") compare.refreshCharts();
    },
    (text) => {
      liveMark.dataset["state"] = text;
      replace(liveMark, element("span", { class: "dot" }), text);
    },
  );
  const pause = () => (live.paused = !live.paused);
  liveMark.addEventListener("click", pause);
  const restyle = () => {
    flipTheme();
    for (const card of board.cards) card.restyle();
    layers.draw();
    panel.draw();
  };

  const tabs = makeTabs();
  const bar = element(
    "header", { class: "top" },
    element("b", { class: "brand" }, "StepDB"),
    tabs,
    element("span", { class: "space" }),
    liveMark,
    makeMenu(),
    element("button", { type: "button", title: "dark or light (t)", click: restyle }, "◐"),
    element("button", { type: "button", title: "keys (?)", click: () => sheet.showModal() }, "?"),
  );
  const views: Record<View, HTMLElement> = {
    charts: element("div", { class: "view" }, toolbar.root, element("div", { class: "view" }, charts.root, large.root)),
    layers: element("div", { class: "view" }, layers.root),
    compare: element("div", { class: "view" }, compare.root),
    query: element("div", { class: "view" }, query.root),
  };
  document.body.append(
    bar,
    element("div", { class: "page" }, panel.root, element("div", { class: "views" }, ...Object.values(views))),
  );

  const show = () => {
    for (const [view] of VIEWS) views[view].hidden = view !== state.view;
    for (const tab of tabs.querySelectorAll("button")) {
      tab.setAttribute("aria-current", String(tab.dataset["view"] === state.view));
    }
  };
  show();
  onChange((changed) => {
    show();
    charts.follow(changed);
    large.follow(changed);
    layers.follow(changed);
    compare.follow(changed);
    query.follow(changed);
  });
  runs.onShown(() => charts.refresh());
  let frame = 0; // a pointer moves more often than there are frames
  runs.onHighlight(() => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      for (const card of board.cards) card.redraw();
    });
  });
  listenToKeys({ search: toolbar.search, runs: panel.filter, large, theme: restyle, pause }, sheet);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const card of board.cards) card.restyle();
  });
  panel.draw();
  query.enter();
  void runs.load().then(() => large.follow(new Set(["open"])));
}

start();
