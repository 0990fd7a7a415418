// The app that `paddock bench` measures with: it does as little as an app can.
const size = 10 << 20;
let large;

export default {
  async fetch(request) {
    const path = request.url.slice(request.url.indexOf("/", 8));
    switch (path) {
      case "/download":
        return new Response(large ??= new Uint8Array(size).fill(120));
      // Ways to misbehave, for two seconds.
      case "/loop":
        for (const end = Date.now() + 2000; Date.now() < end;);
        break;
      case "/hang":
        await new Promise((done) => setTimeout(done, 2000));
        break;
      case "/flood": {
        const line = new TextEncoder().encode("flood ".repeat(100) + "\n");
        for (const end = Date.now() + 2000; Date.now() < end; await 0) for (let i = 0; i < 100; i++) Deno.stdout.writeSync(line);
        break;
      }
      case "/upload": {
        let bytes = 0;
        for await (const part of request.body) bytes += part.length;
        return new Response(String(bytes));
      }
    }
    return new Response("ok");
  },
};
