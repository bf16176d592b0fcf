// Saved dashboards: the address of a page, as an attribute of a run in a project of its own. So they
// are stored, backed up and guarded as everything else in the store is.

import { ask, ingest, QueryError } from "./api";
import { element, replace } from "./dom";
import { address, enter } from "./state";
import { DASHBOARDS, literal } from "./words";

const ATTRIBUTE = "page/address";

export async function savedDashboards(): Promise<[string, string][]> {
  try {
    const answer = await ask(
      `runs ${DASHBOARDS}/* where ${ATTRIBUTE} exists | show ${ATTRIBUTE} as address`,
    );
    const runs = answer.texts("run");
    const addresses = answer.texts("address");
    return runs.map((run, row) => [run.slice(DASHBOARDS.length + 1), addresses[row] ?? ""]);
  } catch (error) {
    if (error instanceof QueryError) return []; // none was ever saved
    throw error;
  }
}

// What a run's name may not have becomes `_`.
export function nameOf(text: string): string {
  return text.trim().replace(/[\s/#*"'\x00-\x1f]+/g, "_").slice(0, 100);
}

export async function saveDashboard(name: string): Promise<void> {
  await ingest({ project: DASHBOARDS, run: name, attributes: { [ATTRIBUTE]: address() } });
  // The name is in a literal of a query soon: better to know now that it reads back.
  await ask(`runs ${literal(`${DASHBOARDS}/${name}`)}`);
}

export function dashboardsMenu(): HTMLElement {
  const list = element("div", { class: "saved" });
  const said = element("div", { class: "error" });
  const input = element("input", { placeholder: "name of this view", label: "name of this view" });
  const form = element("form", { class: "columns" }, input, element("button", {}, "save"));
  const fill = async () => {
    const saved = await savedDashboards();
    const rows = saved.map(([name, where]) => {
      const made = element("button", { type: "button", class: "entry" }, name);
      made.addEventListener("click", () => enter(where));
      return made;
    });
    replace(list, ...(rows.length > 0 ? rows : [element("p", { class: "faint" }, "None saved yet.")]));
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const name = nameOf(input.value);
    if (name === "") return;
    saveDashboard(name).then(
      () => {
        input.value = "";
        replace(said);
        return fill();
      },
      (error: Error) => replace(said, error.message),
    );
  });
  fill().catch((error: Error) => replace(said, error.message));
  const copy = element("button", { type: "button", class: "entry" }, "copy the address of this view");
  copy.addEventListener("click", () => {
    navigator.clipboard.writeText(location.href).then(
      () => replace(copy, "copied"),
      () => replace(copy, "not allowed here: copy it from the address bar"),
    );
  });
  return element("div", { class: "menu" }, form, said, list, element("hr"), copy);
}
