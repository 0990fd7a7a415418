import { decodeFeed, NotAFeed, parseFeed } from "../text/feed.ts";
import { FetchError, fetchFeed, permissionFor, standing } from "./fetch.ts";
import { type Library, Refused, type Subscription } from "./library.ts";

const AT_ONCE = 4;

/** Brings feeds up to date. */
export class Reader {
  #running = new Map<string, Promise<Subscription>>();
  #free = AT_ONCE;
  #queue: (() => void)[] = [];

  constructor(readonly library: Library) {}

  /** Fetches a feed; whoever asks while that runs gets the same answer. Trouble is kept with the feed. */
  refresh(id: string): Promise<Subscription> {
    this.library.feed(id);
    let run = this.#running.get(id);
    if (run === undefined) {
      run = this.#turn(() => this.#refresh(id)).finally(() => this.#running.delete(id));
      this.#running.set(id, run);
    }
    return run;
  }

  async #turn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#queue.push(resolve));
    else this.#free--;
    try {
      return await work();
    } finally {
      const next = this.#queue.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }

  async #refresh(id: string): Promise<Subscription> {
    const feed = this.library.feed(id);
    try {
      const fetched = await fetchFeed(feed.url, feed.etag, feed.lastModified);
      if (fetched.body !== undefined) {
        const parsed = parseFeed(decodeFeed(fetched.body, fetched.contentType), fetched.url);
        await this.library.merge(id, parsed.articles);
        feed.title = parsed.title || feed.title || new URL(feed.url).host;
        feed.site = parsed.site;
      }
      feed.etag = fetched.etag;
      feed.lastModified = fetched.lastModified;
      feed.trouble = null;
    } catch (error) {
      if (error instanceof FetchError) feed.trouble = error.trouble;
      else if (error instanceof NotAFeed) {
        const instead = error.found[0];
        feed.trouble = { text: instead === undefined ? error.message : `${error.message} Add ${instead} instead.`, host: "", permission: "" };
      } else throw error;
    }
    feed.checked = new Date().toISOString();
    if (this.library.feeds.has(id)) await this.library.saveFeeds();
    return feed;
  }

  /** Asks Paddock to ask the user for what a feed lacks, and tries again if the answer is yes. */
  async ask(id: string): Promise<Subscription> {
    const feed = this.library.feed(id);
    const permission = feed.trouble?.permission ?? "";
    if (permission === "" || globalThis.paddock === undefined) throw new Refused(409, "There is nothing to ask for.");
    try {
      await globalThis.paddock.permissions.request(permission);
    } catch (error) {
      throw new Refused(409, `Paddock could not be asked: ${error instanceof Error ? error.message : error}`);
    }
    return await this.refresh(id);
  }

  #known = new Map<string, { state: string; at: number }>();

  /** How a permission stood within the last seconds: an article may hold pictures of many hosts. */
  async #standing(permission: string): Promise<string> {
    const known = this.#known.get(permission);
    if (known !== undefined && Date.now() - known.at < 10_000) return known.state;
    const state = await standing(permission);
    if (this.#known.size >= 1000) this.#known.clear();
    this.#known.set(permission, { state, at: Date.now() });
    return state;
  }

  /** Whether pictures of an address may be shown: only from hosts the user allowed, which the page's own rules enforce too. */
  async mayShow(address: string): Promise<boolean> {
    return await this.#standing(permissionFor(new URL(address))) === "granted";
  }

  /** Whether the page may open links in new windows. When nobody knows, trying tells. */
  async mayOpenLinks(): Promise<boolean> {
    return ["granted", ""].includes(await this.#standing("links"));
  }
}
