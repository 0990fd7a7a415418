import type { ArticleView, FeedView, ItemView } from "../server/api.ts";

export type { ArticleView, FeedView, ItemView };

/** An answer that says no. */
export class Failed extends Error {}

async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = method === "GET" ? {} : { "content-type": "application/json" };
  const response = await fetch(path, { method, headers, body: body === undefined ? null : JSON.stringify(body) });
  if (!response.headers.get("content-type")?.startsWith("application/json")) {
    throw new Failed("The app is not running. Open it again from Paddock.");
  }
  const answer = await response.json() as T & { error?: string };
  if (!response.ok) throw new Failed(answer.error ?? "Something went wrong.");
  return answer;
}

export const feeds = () => call<FeedView[]>("GET", "/api/feeds");
export const add = (url: string) => call<FeedView>("POST", "/api/feeds", { url });
export const remove = (id: string) => call<object>("DELETE", `/api/feeds/${id}`);
export const refresh = (id: string) => call<FeedView>("POST", `/api/feeds/${id}/refresh`, {});
export const ask = (id: string) => call<FeedView>("POST", `/api/feeds/${id}/ask`, {});
export const items = (view: string, feed: string) => call<ItemView[]>("GET", `/api/items?view=${view}&feed=${feed}`);
export const article = (feed: string, id: string) => call<ArticleView>("GET", `/api/items/${feed}/${id}`);
export const mark = (item: ItemView, change: { read?: boolean; starred?: boolean }) =>
  call<ItemView>("POST", `/api/items/${item.feed}/${item.id}`, change);
export const markAll = (feed: string) => call<object>("POST", "/api/read", { feed });
