/** The element of the page with this id. */
export function $<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found as T;
}

/** Makes an element. Text is only ever set as text. */
export function el(tag: string, props: { class?: string; text?: string; title?: string } = {}, ...children: Node[]): HTMLElement {
  const made = document.createElement(tag);
  if (props.class !== undefined) made.className = props.class;
  if (props.text !== undefined) made.textContent = props.text;
  if (props.title !== undefined) made.title = props.title;
  made.append(...children);
  return made;
}

let toastTimer = 0;

/** Says something for a while, with one thing to do about it. */
export function toast(text: string, action?: { label: string; run: () => void }): void {
  const box = $("toast");
  box.replaceChildren(el("span", { text }));
  if (action !== undefined) {
    const button = el("button", { text: action.label });
    button.addEventListener("click", () => {
      box.hidden = true;
      action.run();
    });
    box.append(button);
  }
  box.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => box.hidden = true, action === undefined ? 4000 : 8000) as unknown as number;
}

/**
 * Shows a dialog; every choice closes it. The first choice has the focus and should be the harmless one.
 * onSubmit is for content with a field: Enter calls it, and it closes the dialog itself.
 */
export function dialog(title: string, content: Node[], choices: HTMLElement[], onSubmit?: () => void): void {
  const box = $<HTMLDialogElement>("dialog");
  const row = el("div", { class: "choices" }, ...choices);
  for (const choice of choices) choice.addEventListener("click", () => setTimeout(() => box.close()));
  const form = box.querySelector("form")!;
  form.replaceChildren(el("h2", { text: title }), ...content, row);
  form.onsubmit = onSubmit === undefined ? null : (event) => {
    event.preventDefault();
    onSubmit();
  };
  box.showModal();
  choices[0]?.focus();
}

export function choice(label: string, kind: string, run: () => void = () => {}): HTMLElement {
  const button = el("button", { class: `button ${kind}`, text: label });
  button.setAttribute("type", "button");
  button.addEventListener("click", run);
  return button;
}

/**
 * Shows an address to take along, for pages that may not open windows: Paddock keeps an app from leaving
 * its own place unless the user allowed links.
 */
export function showLink(address: string): void {
  const field = el("input", {}) as HTMLInputElement;
  field.value = address;
  field.readOnly = true;
  field.setAttribute("aria-label", "Address");
  field.addEventListener("focus", () => field.select());
  const copy = () => {
    field.select();
    // Not the clipboard interface: that would need a permission of its own.
    if (document.execCommand("copy")) toast("Copied.");
  };
  dialog("A link to another place", [el("p", { text: "Copy it and open it in a new window of your browser." }), field], [choice("Copy", "primary", copy), choice("Close", "")]);
  field.focus();
}

/** When something happened, as briefly as possible. */
export function when(iso: string, now = new Date()): string {
  const date = new Date(iso);
  if (date.toDateString() === now.toDateString()) return date.toLocaleTimeString([], { hour: "numeric", minute: "2-digit" });
  const sameYear = date.getFullYear() === now.getFullYear();
  return date.toLocaleDateString([], sameYear ? { day: "numeric", month: "short" } : { day: "numeric", month: "short", year: "numeric" });
}
