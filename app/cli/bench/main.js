// The app that `paddock bench` measures with: it does as little as an app can.
const size = 10 << 20;
let large;

export default {
  async fetch(request) {
    const path = request.url.slice(request.url.indexOf("/", 8));
    switch (path) {
      case "/download":
        return new Response(large ??= new Uint8Array(size).fill(120));
      case "/upload": {
        let bytes = 0;
        for await (const part of request.body) bytes += part.length;
        return new Response(String(bytes));
      }
    }
    return new Response("ok");
  },
};
