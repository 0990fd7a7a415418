import { build, link } from "../browser/article.ts";
import { $, choice, dialog, el, showLink, toast, when } from "../browser/dom.ts";
import * as server from "../browser/server.ts";
import type { ArticleView, FeedView, ItemView } from "../browser/server.ts";

const STALE_MS = 15 * 60_000;
const VIEWS: [string, string][] = [["unread", "Unread"], ["all", "Everything"], ["starred", "Starred"]];

const app = $("app");
let feeds: FeedView[] = [];
let items: ItemView[] = [];
let view = "unread";
let feed = ""; // a feed's id, or "" for a view over all
let article: ArticleView | null = null;
let asked = 0; // number of the latest list asked for: answers may come out of order

/** Runs what a click or key asked for, and says so when it fails. */
function act(work: Promise<unknown>): void {
  work.catch((error: unknown) => toast(error instanceof server.Failed ? error.message : "The app does not answer."));
}

const at = (place: "feeds" | "list" | "article") => app.className = `app at-${place}`;
const current = () => feeds.find((f) => f.id === feed);

function button(className: string, run: () => void, ...children: Node[]): HTMLElement {
  const made = el("button", { class: className }, ...children);
  made.setAttribute("type", "button");
  made.addEventListener("click", run);
  return made;
}

function drawFeeds(): void {
  const unread = feeds.reduce((sum, f) => sum + f.unread, 0);
  $("views").replaceChildren(...VIEWS.map(([name, label]) => {
    const row = button("source", () => act(show(name, "")), el("span", { text: label }));
    if (name === "unread" && unread > 0) row.append(el("b", { text: String(unread) }));
    row.setAttribute("aria-current", String(feed === "" && view === name));
    return el("li", {}, row);
  }));
  const sorted = [...feeds].sort((a, b) => a.title.localeCompare(b.title));
  $("feeds").replaceChildren(...sorted.map((f) => {
    const row = button("source", () => act(show("all", f.id)), el("span", { text: f.title, title: f.url }));
    if (f.trouble !== null) row.append(el("i", { text: "!", title: f.trouble.text }));
    else if (f.unread > 0) row.append(el("b", { text: String(f.unread) }));
    row.setAttribute("aria-current", String(feed === f.id));
    return el("li", {}, row);
  }));
  document.title = unread > 0 ? `(${unread}) Feeds` : "Feeds";
}

function drawTrouble(): void {
  const shown = current();
  const trouble = shown?.trouble ?? null;
  $("trouble").hidden = trouble === null;
  if (shown === undefined || trouble === null) return;
  const children: Node[] = [el("span", { text: trouble.text })];
  if (trouble.permission !== "") children.push(button("button", () => act(ask(shown.id)), document.createTextNode("Ask Paddock…")));
  else children.push(button("button", () => act(refresh([shown])), document.createTextNode("Try again")));
  $("trouble").replaceChildren(...children);
}

function drawItems(): void {
  $("title").textContent = feed === "" ? VIEWS.find(([name]) => name === view)![1] : current()?.title ?? "";
  $("remove").hidden = feed === "";
  $("mark").hidden = !items.some((item) => !item.read);
  const rows = items.map((item) => {
    const source = feeds.find((f) => f.id === item.feed)?.title ?? "";
    const line = el("div", { class: "line" }, el("span", { text: feed === "" ? source : item.excerpt }), el("time", { text: when(item.published) }));
    const row = button(`row${item.read ? " read" : ""}`, () => act(open(item)), el("strong", { text: item.title, class: item.starred ? "starred" : "" }), line);
    row.setAttribute("aria-current", String(article?.id === item.id && article.feed === item.feed));
    row.dataset["id"] = item.id;
    return el("li", {}, row);
  });
  if (rows.length === 0) {
    const words = view === "starred" ? "Nothing is starred." : view === "unread" ? "You have read everything." : "No articles yet.";
    rows.push(el("li", { class: "empty", text: words }));
  }
  const scroll = $("items").scrollTop;
  $("items").replaceChildren(...rows);
  $("items").scrollTop = scroll;
  drawTrouble();
}

async function show(nextView: string, nextFeed: string): Promise<void> {
  view = nextView;
  feed = nextFeed;
  $("items").scrollTop = 0;
  at("list");
  await reload();
}

async function reload(): Promise<void> {
  const turn = ++asked;
  const [newFeeds, newItems] = await Promise.all([server.feeds(), server.items(view, feed)]);
  if (turn !== asked) return;
  feeds = newFeeds;
  // What is open stays in the list, though it is read by now.
  const open = article === null ? undefined : items.find((item) => item.id === article!.id && item.feed === article!.feed);
  if (open !== undefined && view === "unread" && !newItems.some((item) => item.id === open.id)) {
    const next = newItems.findIndex((item) => item.published <= open.published);
    newItems.splice(next < 0 ? newItems.length : next, 0, { ...open, read: true });
  }
  items = newItems;
  drawFeeds();
  drawItems();
}

async function open(item: ItemView): Promise<void> {
  article = await server.article(item.feed, item.id);
  if (!item.read) await change({ read: true });
  drawArticle();
  at("article");
  drawItems();
  $("article").scrollTop = 0;
  document.querySelector(`#items [data-id="${item.id}"]`)?.scrollIntoView({ block: "nearest" });
}

function drawArticle(): void {
  $("article-bar").hidden = $("article").hidden = article === null;
  $("nothing").hidden = article !== null;
  if (article === null) return;
  const source = feeds.find((f) => f.id === article!.feed)?.title ?? "";
  const by = [source, article.author, new Date(article.published).toLocaleDateString([], { dateStyle: "long" })].filter((part) => part !== "");
  const title = document.createTextNode(article.title);
  const children: Node[] = [
    el("h1", {}, article.url === "" ? title : link(article.url, title)),
    el("p", { class: "by", text: by.join(" · ") }),
    ...build(article),
  ];
  if (article.blocked.length > 0) {
    const hosts = article.blocked.join(", ");
    children.push(el("p", { class: "by", text: `Pictures from ${hosts} are not shown: you have not allowed Feeds to talk to ${article.blocked.length === 1 ? "it" : "them"}.` }));
  }
  $("article").replaceChildren(...children);
  const original = $<HTMLAnchorElement>("original");
  original.hidden = article.url === "";
  if (article.url !== "") original.href = article.url;
  $("star").setAttribute("aria-pressed", String(article.starred));
  $("unread").textContent = article.read ? "Keep unread" : "Mark read";
}

/** Changes the open article, here and on the server. */
async function change(what: { read?: boolean; starred?: boolean }): Promise<void> {
  if (article === null) return;
  const changed = await server.mark(article, what);
  if (article.id !== changed.id) return;
  const source = feeds.find((f) => f.id === changed.feed);
  if (source !== undefined && article.read !== changed.read) source.unread += changed.read ? -1 : 1;
  article = { ...article, ...changed };
  items = items.map((item) => item.id === changed.id && item.feed === changed.feed ? changed : item);
  drawFeeds();
  drawItems();
  drawArticle();
}

async function refresh(some: FeedView[]): Promise<void> {
  $("refresh").classList.add("busy");
  try {
    await Promise.all(some.map((f) => server.refresh(f.id)));
  } finally {
    $("refresh").classList.remove("busy");
  }
  await reload();
}

async function ask(id: string): Promise<void> {
  toast("Paddock is asking you. Answer there.");
  const answered = await server.ask(id);
  toast(answered.trouble === null ? "Allowed." : answered.trouble.text);
  await reload();
}

function addFeed(): void {
  const input = el("input", {}) as HTMLInputElement;
  input.type = "text";
  input.inputMode = "url";
  input.placeholder = "https://example.org/feed.xml";
  input.autocomplete = "off";
  input.spellcheck = false;
  input.setAttribute("aria-label", "Address");
  const problem = el("p", { class: "bad" });
  const submit = async () => {
    problem.textContent = "";
    const before = new Set(feeds.map((f) => f.id));
    try {
      const added = await server.add(input.value);
      $<HTMLDialogElement>("dialog").close();
      if (before.has(added.id)) toast("This feed is in the list already.");
      await show("all", added.id);
    } catch (error) {
      problem.textContent = error instanceof server.Failed ? error.message : "The app does not answer.";
    }
  };
  const confirm = el("button", { class: "button primary", text: "Add" });
  dialog("Add a feed", [el("p", { text: "The address of an RSS, Atom or JSON feed." }), input, problem], [choice("Cancel", "")], () => void submit());
  // Not one of the dialog's choices: it stays open when the address is refused.
  document.querySelector("#dialog .choices")!.append(confirm);
  input.focus();
}

function removeFeed(): void {
  const shown = current();
  if (shown === undefined) return;
  const gone = async () => {
    await server.remove(shown.id);
    if (article?.feed === shown.id) article = null;
    drawArticle();
    await show("unread", "");
  };
  dialog("Remove this feed?", [el("p", { text: `“${shown.title}” and its articles, starred ones too, leave the list.` })], [
    choice("Keep it", ""),
    choice("Remove", "danger", () => act(gone())),
  ]);
}

async function markAll(): Promise<void> {
  await server.markAll(feed);
  if (article !== null) article.read = true;
  await reload();
}

function step(by: number): void {
  const here = items.findIndex((item) => item.id === article?.id && item.feed === article.feed);
  const next = items[here < 0 ? 0 : here + by];
  if (next !== undefined) act(open(next));
}

const KEYS: [string, string][] = [
  ["j  k", "Next, previous article"], ["o", "Open the original"], ["m", "Read or unread"], ["s", "Star"], ["r", "Refresh all"],
  ["a", "Add a feed"], ["Shift A", "Mark all as read"], ["Esc", "Back"],
];

function showKeys(): void {
  const table = el("dl", {}, ...KEYS.flatMap(([key, what]) => [el("dt", {}, el("kbd", { text: key })), el("dd", { text: what })]));
  dialog("Keys", [table], [choice("Close", "primary")]);
}

function back(): void {
  if (app.classList.contains("at-article")) at("list");
  else at("feeds");
}

document.addEventListener("keydown", (event) => {
  if ($<HTMLDialogElement>("dialog").open || event.ctrlKey || event.metaKey || event.altKey) return;
  const run = ({
    "j": () => step(1), "k": () => step(-1), "o": () => article?.url && $("original").click(), "r": () => act(refresh(feeds)),
    "m": () => act(change({ read: !(article?.read ?? true) })), "s": () => act(change({ starred: !(article?.starred ?? true) })),
    "a": addFeed, "A": () => act(markAll()), "?": showKeys, "Escape": back,
  } as Record<string, () => void>)[event.key];
  if (run === undefined) return;
  event.preventDefault();
  run();
});
document.addEventListener("click", (event) => {
  const link = (event.target as HTMLElement).closest<HTMLAnchorElement>('a[target="_blank"]');
  if (link === null || article === null || article.links) return;
  event.preventDefault();
  showLink(link.href);
});
$("add").addEventListener("click", addFeed);
$("remove").addEventListener("click", removeFeed);
$("refresh").addEventListener("click", () => act(refresh(feeds)));
$("mark").addEventListener("click", () => act(markAll()));
$("star").addEventListener("click", () => act(change({ starred: !(article?.starred ?? true) })));
$("unread").addEventListener("click", () => act(change({ read: !(article?.read ?? true) })));
$("keys").addEventListener("click", showKeys);
$("to-feeds").addEventListener("click", () => at("feeds"));
$("to-list").addEventListener("click", () => at("list"));

act(reload().then(async () => {
  const stale = feeds.filter((f) => f.trouble !== null || Date.now() - (Date.parse(f.checked) || 0) > STALE_MS);
  if (stale.length > 0) await refresh(stale);
}));
