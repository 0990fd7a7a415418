const encoder = new TextEncoder();
const MAX_PAGES = 64;
const PING_MS = 30_000;

/** Tells every open page what changed, as Server-Sent Events. */
export class Events {
  #pages = new Set<ReadableStreamDefaultController<Uint8Array>>();

  /** Sends a message to every open page. A page that does not keep up is cut off and comes back by itself. */
  send(message: unknown): void {
    this.#write(`data: ${JSON.stringify(message)}\n\n`);
  }

  /** Answers a page that wants to be told. It lives until the page goes away. */
  connect(): Response {
    if (this.#pages.size >= MAX_PAGES) {
      return new Response("Too many pages are open\n", { status: 503, headers: { "retry-after": "30" } });
    }
    let page: ReadableStreamDefaultController<Uint8Array>;
    let ping: ReturnType<typeof setInterval> | undefined;
    const stop = () => {
      clearInterval(ping);
      this.#pages.delete(page);
    };
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        page = controller;
        this.#pages.add(page);
        page.enqueue(encoder.encode("retry: 1000\n\n"));
        // A comment now and then lets both ends notice that the other is gone.
        ping = setInterval(() => this.#pages.has(page) ? page.enqueue(encoder.encode(":\n\n")) : stop(), PING_MS);
      },
      cancel: stop,
    }, new CountQueuingStrategy({ highWaterMark: 256 }));
    return new Response(body, { headers: { "content-type": "text/event-stream", "cache-control": "no-store" } });
  }

  #write(text: string): void {
    const bytes = encoder.encode(text);
    for (const page of this.#pages) {
      if ((page.desiredSize ?? 0) > 0) {
        page.enqueue(bytes);
      } else {
        this.#pages.delete(page);
        page.close();
      }
    }
  }
}
