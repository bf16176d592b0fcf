// Elements from code. Text goes in as text nodes alone, so that what is in the name of a run or a
// metric is shown and never read as markup.

export type Child = Node | string | null | false | undefined;

interface Properties {
  class?: string;
  title?: string;
  type?: string;
  value?: string;
  placeholder?: string;
  label?: string; // for those who do not see it
  role?: string;
  click?: (event: MouseEvent) => void;
}

export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: Properties = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  if (properties.class) made.className = properties.class;
  if (properties.title) made.title = properties.title;
  if (properties.type) made.setAttribute("type", properties.type);
  if (properties.placeholder) made.setAttribute("placeholder", properties.placeholder);
  if (properties.label) made.setAttribute("aria-label", properties.label);
  if (properties.role) made.setAttribute("role", properties.role);
  if (properties.value !== undefined) (made as unknown as HTMLInputElement).value = properties.value;
  if (properties.click) made.addEventListener("click", properties.click as EventListener);
  append(made, children);
  return made;
}

export function append(parent: Node, children: Child[]): void {
  for (const child of children) {
    if (child) parent.appendChild(typeof child === "string" ? document.createTextNode(child) : child);
  }
}

export function replace(parent: Element, ...children: Child[]): void {
  parent.replaceChildren();
  append(parent, children);
}

export interface Choice {
  value: string;
  text: string;
}

export function select(
  label: string,
  choices: Choice[],
  value: string,
  change: (value: string) => void,
): HTMLSelectElement {
  const made = element("select", { label, title: label });
  for (const choice of choices) {
    made.append(element("option", { value: choice.value }, choice.text));
  }
  made.value = value;
  made.addEventListener("change", () => change(made.value));
  return made;
}

export function toggle(
  text: string,
  title: string,
  isOn: boolean,
  change: (isOn: boolean) => void,
): HTMLButtonElement {
  const made = element("button", { type: "button", class: "toggle", title }, text);
  made.setAttribute("aria-pressed", String(isOn));
  made.addEventListener("click", () => {
    const next = made.getAttribute("aria-pressed") !== "true";
    made.setAttribute("aria-pressed", String(next));
    change(next);
  });
  return made;
}

// Calls `action` once, when nothing has asked for it for `milliseconds`.
export function settled(milliseconds: number, action: () => void): () => void {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = window.setTimeout(action, milliseconds);
  };
}
