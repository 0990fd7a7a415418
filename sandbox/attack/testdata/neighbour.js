// Another app, which wants nothing and must not notice anything.
Deno.writeTextFileSync(paddock.dataDir + "/diary", "PADDOCK-SECRET diary\n");
localStorage.setItem("diary", "PADDOCK-SECRET stored");
export default { fetch: () => new Response("fine") };
