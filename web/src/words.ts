// Words of the query language (docs/query-language.md, "Lexis").

export function literal(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function literals(names: readonly string[]): string {
  return names.map(literal).join(", ");
}

export const DASHBOARDS = "stepdb-dashboards"; // the project in which the page keeps its own

// What the box above the runs says, as the runs of a query with its `where`: a filter of the language,
// or plain letters, which are looked for in the run's name.
export function runsOf(filter: string): string {
  const text = filter.trim();
  if (text === "") return `** where project != ${literal(DASHBOARDS)}`;
  if (/^where\s/.test(text)) return `** ${text}`;
  if (/[*{,"'~()]|\swhere\s/.test(text)) return text;
  if (/\s(=|!=|<|<=|>|>=|contains|in|is|exists)(\s|$)|^tag\s/.test(text)) return `** where ${text}`;
  return `**${text.replace(/\s+/g, "**")}**`;
}

const FIELDS = new Set(["state", "project", "name", "created", "attempts", "metrics"]);

// What runs have in common, as an expression; null if it is a pattern of several attributes.
export function groupOf(group: string): string | null {
  if (group === "" || /[*{]|\sexcept\s/.test(group)) return null;
  return FIELDS.has(group) ? group : `attr(${literal(group)})`;
}

// What the box above the charts says, as a pattern of metrics.
export function metricsOf(search: string): string {
  const text = search.trim();
  if (text === "") return "**";
  if (/[*{,"~]/.test(text)) return text;
  return `**${text.split(/\s+/).join("**")}**`;
}

// Whether a metric is what a search of plain letters looks for: all its words, in that order.
export function finds(search: string): (name: string) => boolean {
  const text = search.trim().toLowerCase();
  if (text === "") return () => true;
  if (text.startsWith("~")) {
    return regexOf(search.trim().slice(1).replace(/^"|"$/g, ""));
  }
  const parts = text.split(/[\s,]+/).filter((part) => part !== "");
  if (/[*{]/.test(text)) {
    const globs = parts.map(globOf);
    return (name) => globs.some((glob) => glob.test(name.toLowerCase()));
  }
  return (name) => {
    let at = 0;
    const lower = name.toLowerCase();
    return parts.every((part) => {
      const found = lower.indexOf(part, at);
      at = found + part.length;
      return found >= 0;
    });
  };
}

function regexOf(text: string): (name: string) => boolean {
  try {
    const regex = new RegExp(text);
    return (name) => regex.test(name);
  } catch {
    return () => false; // it is being typed
  }
}

export function globOf(glob: string): RegExp {
  const pieces = glob.split(/(\*\*\/?|\*|\{\w+\})/).map((piece) => {
    if (piece === "**") return ".*";
    if (piece === "**/") return "(?:.*/)?";
    if (piece === "*" || /^\{\w+\}$/.test(piece)) return "[^/]*";
    return piece.replace(/[.+?^$()|[\]\\{}]/g, "\\$&");
  });
  return new RegExp(`^${pieces.join("")}$`);
}

// The part of a name by which charts are put together: all but its last segment.
export function namespaceOf(metric: string): string {
  const slash = metric.lastIndexOf("/");
  return slash < 0 ? "" : metric.slice(0, slash);
}

const collator = new Intl.Collator("en", { numeric: true });

export function byName(a: string, b: string): number {
  return collator.compare(a, b);
}

// Where the stages of a query stand in its text: behind a `|` that is in no quotes or parentheses.
function stagesOf(text: string): { begin: number; text: string }[] {
  const ends: number[] = [];
  let depth = 0;
  for (const { 0: found, index } of text.matchAll(/"[^"]*"|'[^']*'|[()|]/g)) {
    if (found === "(") ++depth;
    else if (found === ")") --depth;
    else if (found === "|" && depth === 0) ends.push(index);
  }
  return ends.map((begin, at) => ({ begin, text: text.slice(begin + 1, ends[at + 1]) }));
}

// The query with the range of its buckets in it, as the stage before `buckets`: in place of one that
// stands there with both of its ends. Null if it has no buckets.
export function withRange(query: string, stage: string): string | null {
  const stages = stagesOf(query);
  const at = stages.findIndex((one) => /^\s*buckets\s/.test(one.text));
  if (at < 0) return null;
  const word = stage.slice(0, stage.indexOf(" "));
  const before = stages[at - 1];
  const isRange = before && new RegExp(`^\\s*${word}\\s+[\\d.eus+-]+\\s*$`).test(before.text);
  const begin = isRange ? before.begin : stages[at]!.begin;
  return `${query.slice(0, begin)}| ${stage} ${query.slice(stages[at]!.begin)}`;
}
