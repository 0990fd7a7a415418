// Stands in for the host's entry module where Deno's wall is down: Deno runs with --allow-all and nothing is revoked.
const config = JSON.parse(Deno.args[0]);
globalThis.paddock = { dataDir: config.data, slots: config.slots };
let handler;
let loaded;
const ready = new Promise((resolve) => loaded = resolve);
Deno.serve({ path: config.socket, onListen() {} }, async (request) => {
  await ready;
  return request.url.endsWith("/.paddock/ready") ? new Response("fetch") : handler(request);
});
Deno.stdout.writeSync(new TextEncoder().encode("\0listening\n")); // as the host's entry module says it
const module = await import(config.app);
handler = module.default?.fetch ?? module.fetch;
loaded();
