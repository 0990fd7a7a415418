// An app against itself: it may end or stall itself as it likes. The host and the other apps must not feel it.
export default {
  "itself: close every resource": () => {
    const { core } = Deno[Deno.internal];
    for (let rid = 0; rid < 100000; rid++) core.tryClose(rid);
    return "closed";
  },
  "itself: BrowserWindow": () => new (Deno[Deno.internal].core.ops.BrowserWindow)(),
  "itself: kill": () => Deno.kill(Deno.pid, "SIGKILL"),
  "itself: SIGUSR1": () => Deno.kill(Deno.pid, "SIGUSR1") ?? new Promise(() => {}),
  "itself: SIGSTOP": () => Deno.kill(Deno.pid, "SIGSTOP"),
  "itself: process.abort": () => process.abort(),
  "itself: exit": () => Deno.exit(0),
  "itself: an endless loop": () => {
    for (;;);
  },
  "itself: deaf to every signal": () => {
    for (const s of ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"]) Deno.addSignalListener(s, () => {});
    for (;;);
  },
  "itself: an endless output": () => {
    const text = new Uint8Array(1 << 16).fill(65);
    for (;;) Deno.stdout.writeSync(text);
  },
  "itself: endless reports": () => {
    for (let i = 0;; i++) {
      try {
        Deno.env.get("X".repeat(2000) + i);
      } catch { /* refused, and reported */ }
    }
  },
  "itself: forged reports": async () => {
    const net = await import("node:net");
    const line = JSON.stringify({ v: 1, datetime: "2026-11-22T19:11:43Z", permission: "run", value: null }) + "\n";
    for (let fd = 3; fd < 64; fd++) {
      try {
        const socket = new net.Socket({ fd }).on("error", () => {});
        socket.write(line + "no report\n", () => socket.destroy());
      } catch { /* the next one */ }
    }
    return new Promise(() => {});
  },
  "itself: an endless regular expression": () => /^(a+)+$/.test("a".repeat(60) + "b"),
};
