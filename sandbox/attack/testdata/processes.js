// Starting programs, touching other processes, and learning about the machine.
import child from "node:child_process";
import cluster from "node:cluster";
import fs from "node:fs";
import os from "node:os";
import process from "node:process";
import { AT_FDCWD, bytes, call, fresh, leak, must, own, posted, script } from "./kit.js";

const SIGCONT = 18; // does nothing to a process that runs

// list is a NULL-terminated array of C strings; the strings must be kept until the call.
function list(strings) {
  const parts = strings.map(bytes);
  const pointers = new BigUint64Array(parts.length + 1);
  parts.forEach((p, i) => pointers[i] = BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(p))));
  return { pointers, parts };
}

function become(w, path, args) {
  const argv = list(args), env = list(["DENO_DIR=" + w.data]);
  call("execve", bytes(path), argv.pointers, env.pointers);
}

const tell = (w) => ["-c", `echo here > ${w.leak}`];

// forked runs in this process only: its child ends at once.
function forked(name, ...args) {
  const pid = call(name, ...args);
  if (pid === 0) call("exit_group", 0);
  return "child " + pid;
}

function shell(w) {
  const path = fresh(w.data);
  Deno.writeTextFileSync(path, "#!/bin/sh\necho hi\n");
  Deno.chmodSync(path, 0o755);
  return path;
}

const vector = (address, length) => new BigUint64Array([BigInt(address), BigInt(length)]);
const addressOf = (buffer) => BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(buffer)));
const token = "PADDOCK_ATTACK_TOKEN";

// loaded is whether a shared library is part of this process now.
const loaded = (path) => must(fs.readFileSync("/proc/self/maps", "utf8").includes(path), "not loaded");

export default {
  "run: Deno.Command": () => must(new Deno.Command("/bin/true").outputSync().success),
  "run: Deno.Command, a shell": () => must(new Deno.Command("/bin/sh", { args: ["-c", "true"] }).outputSync().success),
  "run: Deno.Command, Deno with all rights": () => must(new Deno.Command(Deno.execPath(), { args: ["--version"] }).outputSync().success),
  "run: Deno.Command with LD_PRELOAD": (w) =>
    must(new Deno.Command("/bin/true", { env: { LD_PRELOAD: w.library } }).outputSync().success),
  "run: Deno.Command, detached": () => must(new Deno.Command("/bin/true", { detached: true }).spawn().pid),
  "run: Deno.spawn": async () => must((await Deno.spawn("/bin/true").status).success),
  "run: Deno.spawnAndWaitSync": () => must(Deno.spawnAndWaitSync("/bin/true").success),
  "run: a script in data": (w) => must(new Deno.Command(shell(w)).outputSync().success),
  "run: a program in data": (w) => {
    const path = fresh(w.data);
    Deno.copyFileSync("/bin/true", path);
    Deno.chmodSync(path, 0o755);
    return must(new Deno.Command(path).outputSync().success);
  },
  "run: a program in data through the dynamic linker": (w) => {
    const path = fresh(w.data);
    Deno.copyFileSync("/bin/true", path);
    return must(new Deno.Command(w.linker, { args: [path] }).outputSync().success);
  },
  "run: execFileSync": () => child.execFileSync("/bin/true") && "ran",
  "run: execSync": () => child.execSync("true") && "ran",
  "run: exec with a crafted argument": () => child.execSync(`echo ${"$(true)"}`) && "ran",
  "run: spawnSync": () => must(child.spawnSync("/bin/true").status === 0),
  "run: spawn": () =>
    new Promise((resolve, reject) => child.spawn("/bin/true").on("exit", resolve).on("error", reject)),
  "run: fork": (w) =>
    new Promise((resolve, reject) => {
      const path = fresh(w.data) + ".js";
      Deno.writeTextFileSync(path, "Deno.exit(0)");
      child.fork(path).on("exit", (code) => code === 0 ? resolve("ran") : reject(new Error("exit " + code))).on("error", reject);
    }),
  "run: cluster.fork": (w) => {
    const path = fresh(w.data) + ".js";
    Deno.writeTextFileSync(path, "Deno.exit(0)");
    cluster.setupPrimary({ exec: path });
    return must(cluster.fork().process.pid);
  },
  "run: another module with node:worker_threads": async (w) => {
    const { Worker } = await import("node:worker_threads");
    const worker = new Worker(`require("node:worker_threads").parentPort.postMessage(require("node:child_process").execSync("echo ran").toString())`, { eval: true });
    try {
      return must((await new Promise((resolve, reject) => worker.on("message", resolve).on("error", reject))).includes("ran"));
    } finally {
      await worker.terminate();
    }
  },
  "fork": () => forked("clone", 17, 0, 0, 0, 0),
  "fork: clone3": () => {
    const args = new BigUint64Array(8);
    args[4] = 17n; // exit_signal
    return forked("clone3", args, 64);
  },
  "fork: a user namespace": () => forked("clone", 0x10000000 | 17, 0, 0, 0, 0),
  "namespace: unshare": () => call("unshare", 0x400) === 0,
  "exec: a shell in place of the app": (w) => become(w, "/bin/sh", ["sh", ...tell(w)]),
  "exec: a shell through the dynamic linker": (w) => become(w, w.linker, [w.linker, w.shell, ...tell(w)]),
  "exec: Deno in place of the app": (w) =>
    become(w, Deno.execPath(), ["deno", "eval", "--no-config", `Deno.writeTextFileSync(${JSON.stringify(w.leak)}, "here")`]),
  "exec: a program in memory": (w) => {
    const fd = call("memfd_create", bytes("x"), 0);
    const program = Deno.readFileSync(w.shell);
    must(call("write", fd, program, program.length) === program.length);
    const argv = list(["sh", ...tell(w)]);
    call("execveat", fd, bytes(""), argv.pointers, list([]).pointers, 0x1000);
  },

  // native code
  "native: Deno.dlopen of the C library": () => {
    Deno.dlopen("libc.so.6", { getpid: { parameters: [], result: "i32" } }).close();
    return "loaded";
  },
  "native: Deno.dlopen of a library in data": (w) => {
    const path = fresh(w.data) + ".so";
    Deno.writeFileSync(path, Uint8Array.fromBase64(w.native));
    Deno.dlopen(path, {});
    return loaded(path);
  },
  "native: process.dlopen of a library in data": (w) => {
    const path = fresh(w.data) + ".node";
    Deno.writeFileSync(path, Uint8Array.fromBase64(w.native));
    try {
      process.dlopen({ exports: {} }, path);
    } catch (error) {
      // a library that is no module is loaded before it is found to be none
      if (!/napi_register_module|unable to find/i.test(String(error))) throw error;
    }
    return "loaded";
  },
  "native: a library of the system": (w) => {
    Deno.dlopen(w.library, {});
    return loaded(w.library);
  },
  "native: write into own code": () => {
    using memory = Deno.openSync("/proc/self/mem", { write: true });
    return must(memory);
  },

  // other processes
  "signal: Deno.kill": (w) => Deno.kill(w.victim, "SIGCONT") ?? "sent",
  "signal: process.kill": (w) => must(process.kill(w.victim, "SIGCONT")),
  "signal: process.kill with 0": (w) => must(process.kill(w.victim, 0)),
  "signal: the agent": () => Deno.kill(Deno.ppid, "SIGCONT") ?? "sent",
  "signal: another app": (w) => Deno.kill(w.neighbour.pid, "SIGCONT") ?? "sent",
  "signal: another app's group": (w) => must(process.kill(-w.neighbour.pid, "SIGCONT")),
  "signal: everybody": () => must(process.kill(-1, "SIGCONT")),
  "signal: kill": (w) => call("kill", w.victim, SIGCONT) === 0,
  "signal: kill, with a number too large": (w) => call("kill", 0x100000000 + w.victim, SIGCONT) === 0,
  "signal: tkill": (w) => call("tkill", w.victim, SIGCONT) === 0,
  "signal: tgkill": (w) => call("tgkill", w.victim, w.victim, SIGCONT) === 0,
  "signal: rt_sigqueueinfo": (w) => {
    const info = new Int32Array(32);
    info[0] = SIGCONT;
    info[2] = -1; // SI_QUEUE
    return call("rt_sigqueueinfo", w.victim, SIGCONT, info) === 0;
  },
  "signal: a process descriptor": (w) => call("pidfd_send_signal", call("pidfd_open", w.victim, 0), SIGCONT, 0, 0) === 0,
  "process: ptrace": (w) => call("ptrace", 0x4206, w.victim, 0, 0) === 0, // PTRACE_SEIZE: attaches, does not stop
  "process: read memory": (w) => {
    const buffer = new Uint8Array(32);
    call("process_vm_readv", w.victim, vector(addressOf(buffer), 32), 1, vector(w.victimAddress, 32), 1, 0);
    return leak(buffer);
  },
  "process: write memory": (w) => {
    const buffer = bytes("PADDOCK");
    return must(call("process_vm_writev", w.victim, vector(addressOf(buffer), 7), 1, vector(w.victimAddress, 7), 1, 0) === 7);
  },
  "process: another app's memory": (w) => {
    const buffer = new Uint8Array(8);
    const maps = Deno.readTextFileSync(`/proc/${w.neighbour.pid}/maps`);
    const address = "0x" + /^([0-9a-f]+)-[0-9a-f]+ r/m.exec(maps)[1]; // the first piece may be one that nobody can read
    return must(call("process_vm_readv", w.neighbour.pid, vector(addressOf(buffer), 8), 1, vector(address, 8), 1, 0) >= 0);
  },
  "process: take a descriptor": (w) => call("pidfd_getfd", call("pidfd_open", w.victim, 0), 1, 0),
  "process: compare": (w) => call("kcmp", w.victim, w.victim, 1, 0, 0) === 0,
  "process: its list of locks": (w) => call("get_robust_list", w.victim, new BigUint64Array(1), new BigUint64Array(1)) === 0,
  "process: priority": (w) => call("setpriority", 0, w.victim, 19) === 0,
  "process: priority by node:os": (w) => os.setPriority(w.victim, 19) ?? "set",
  "process: scheduling": (w) => call("sched_setscheduler", w.victim, 0, new Int32Array(1)) === 0,
  "process: processors": (w) => call("sched_setaffinity", w.victim, 8, new BigUint64Array([~0n])) === 0,
  "process: disk priority": (w) => call("ioprio_set", 1, w.victim, 3 << 13) === 0,
  "process: limits": (w) => call("prlimit64", w.victim, 7, new BigUint64Array([512n, 512n]), 0) === 0,
  "process: read limits": (w) => call("prlimit64", w.victim, 7, 0, new BigUint64Array(2)) === 0,
  "process: own limits": () => call("prlimit64", 0, 7, new BigUint64Array([300n, 300n]), 0) === 0,
  "process: own limits, the old call": () => call("setrlimit", 7, new BigUint64Array([299n, 299n])) === 0,
  "process: outlive the agent": () => call("prctl", 1, 0) === 0, // PR_SET_PDEATHSIG
  "process: hide from the watchdog": () => call("prctl", 4, 0) === 0, // PR_SET_DUMPABLE
  "process: own user": (w) => call("setresuid", w.uid, w.uid, w.uid) === 0,
  "kernel: personality": () => call("personality", 0x40000) >= 0,
  "kernel: keyring": () => call("add_key", bytes("user"), bytes("paddock"), bytes("x"), 1, -2),
  "kernel: session keyring": () => call("keyctl", 0, -3, 1),
  "kernel: userfaultfd": () => call("userfaultfd", 1),
  "kernel: io_uring": () => call("io_uring_setup", 1, new Uint8Array(120)),
  "kernel: shared memory": () => {
    const id = call("shmget", 0, 4096, 0o1600);
    call("shmctl", id, 0, 0);
    return "segment " + id;
  },
  "kernel: semaphores": () => {
    const id = call("semget", 0, 1, 0o1600);
    call("semctl", id, 0, 0, 0);
    return "set " + id;
  },
  "kernel: message queue": () => {
    const id = call("msgget", 0, 0o1600);
    call("msgctl", id, 0, 0);
    return "queue " + id;
  },
  "kernel: POSIX message queue": (w) => {
    const name = bytes("paddock-attack-" + Deno.pid);
    call("mq_open", name, 0o102, 0o600, 0);
    return call("mq_unlink", name) === 0;
  },

  // what the process was started with, and the machine
  "env: Deno.env.get": () => leak(Deno.env.get(token)),
  "env: Deno.env.toObject": () => leak(Deno.env.toObject()[token]),
  "env: process.env": () => leak(process.env[token]),
  "env: process.env, listed": () => must(Object.keys(process.env).includes(token)),
  "env: another module system": () => leak(process.getBuiltinModule("node:process").env[token]),
  "env: a worker": async () =>
    leak(await posted(new Worker(script(`postMessage(String(Deno.env.get(${JSON.stringify(token)})))`), { type: "module" }))),
  "env: worker_threads": async () => {
    const { Worker } = await import("node:worker_threads");
    const worker = new Worker(`require("node:worker_threads").parentPort.postMessage(String(process.env.${token}))`, { eval: true });
    try {
      return leak(await new Promise((resolve, reject) => worker.on("message", resolve).on("error", reject)));
    } finally {
      await worker.terminate();
    }
  },
  "env: getenv": (w) => {
    const lib = Deno.dlopen("libc.so.6", { getenv: { parameters: ["buffer"], result: "pointer" } });
    const found = lib.symbols.getenv(bytes(token));
    return leak(must(found) && Deno.UnsafePointerView.getCString(found));
  },
  "env: process.loadEnvFile": (w) => {
    process.loadEnvFile(w.home + "/secret.env");
    return leak(process.env.PADDOCK_STOLEN);
  },
  "sys: umask": () => must(process.umask() >= 0) && "read",
  "sys: hostname": (w) => must(Deno.hostname() === w.machine.hostname),
  "sys: hostname by node:os": (w) => must(os.hostname() === w.machine.hostname),
  "sys: kernel release": (w) => must(Deno.osRelease() === w.machine.release),
  "sys: uptime": () => must(Deno.osUptime() > 0),
  "sys: memory": () => must(Deno.systemMemoryInfo().total > 0),
  "sys: memory by node:os": (w) => must(os.totalmem() === w.machine.memory),
  "sys: network interfaces": () => must(Deno.networkInterfaces().length > 0),
  "sys: network interfaces by node:os": () => must(Object.keys(os.networkInterfaces()).length > 0),
  "sys: user": (w) => must(Deno.uid() === w.uid),
  "sys: user by process": (w) => must(process.getuid() === w.uid),
  "sys: a report": () => must(process.report.getReport().header.host),
  "sys: processors": () => must(os.cpus()[0].model.length > 0),
  "sys: the inspector": async () => {
    const { Session } = await import("node:inspector");
    const session = new Session();
    session.connect();
    return await new Promise((resolve, reject) =>
      session.post("Runtime.evaluate", { expression: "1" }, (error, value) => error ? reject(error) : resolve(JSON.stringify(value)))
    );
  },
  "sys: the graphics processor": async () => must(await navigator.gpu.requestAdapter(), "no adapter") && "an adapter",

  // app against app
  "neighbour: its data": (w) => leak(Deno.readTextFileSync(w.neighbour.data + "/diary")),
  "neighbour: its code": (w) => must(Deno.readTextFileSync(w.neighbour.app + "/neighbour.js").length),
  "neighbour: write its data": (w) => Deno.writeTextFileSync(w.neighbour.data + "/planted", "x") ?? "written",
  "neighbour: its storage": async (w) => {
    const { DatabaseSync } = await import("node:sqlite");
    const root = w.neighbour.runtime + "/deno/location_data";
    for (const e of Deno.readDirSync(root)) {
      const path = `${root}/${e.name}/local_storage`;
      if (e.isDirectory && fs.existsSync(path)) {
        return leak(JSON.stringify(new DatabaseSync(path, { readOnly: true }).prepare("select * from data").all()));
      }
    }
    throw new Error("no storage found");
  },
  "neighbour: its code by import": async (w) => must((await import(w.neighbour.app + "/neighbour.js")).default),
  "neighbour: its working folder": (w) => leak(Deno.readTextFileSync(`/proc/${w.neighbour.pid}/cwd/diary`)),
  "neighbour: its log": (w) => must([...Deno.readDirSync(w.neighbour.log)].length),
  "neighbour: its cache": (w) => must([...Deno.readDirSync(w.neighbour.runtime + "/deno")].length),
  "neighbour: its environment": (w) => must(Deno.readTextFileSync(`/proc/${w.neighbour.pid}/environ`).includes("DENO_DIR")),
  "neighbour: its command line": (w) => must(Deno.readTextFileSync(`/proc/${w.neighbour.pid}/cmdline`).length),
  "neighbour: its page": async (w) =>
    must((await (await fetch("http://x.localhost/", { client: Deno.createHttpClient({ proxy: { transport: "unix", path: w.neighbour.socket } }) })).text()) === "fine"),
  "neighbour: remove its socket": (w) => {
    // put back at once: the rows after this one need it
    Deno.renameSync(w.neighbour.socket, w.neighbour.socket + ".gone");
    Deno.renameSync(w.neighbour.socket + ".gone", w.neighbour.socket);
    return "moved";
  },
  "runtime folder: write the cached entry": (w) => Deno.writeTextFileSync(w.runtime + "/deno/planted", "x") ?? "written",
  "runtime folder: rewrite the cached bytecode": async (w) => {
    const { DatabaseSync } = await import("node:sqlite");
    const db = new DatabaseSync(w.runtime + "/deno/v8_code_cache_v2");
    return must(db.prepare("select count(*) as n from codecache").get().n >= 0) && "opened for writing";
  },
  "runtime folder: list": (w) => must([...Deno.readDirSync(w.runtime)].length),
  "runtime folder: remove": (w) => Deno.renameSync(w.runtime + "/tmp", w.data + "/tmp" + Deno.pid) ?? "moved",
  "socket: remove the own": (w) => {
    Deno.renameSync(w.socket, w.socket + ".gone");
    Deno.renameSync(w.socket + ".gone", w.socket);
    return "moved";
  },
  "socket: replace the own by a file": (w) => {
    Deno.renameSync(own(w), w.sockets + "/planted");
    return "replaced";
  },
  "descriptors: net.Socket for 0 to 63": async () => {
    const net = await import("node:net");
    for (let fd = 0; fd < 64; fd++) {
      try {
        new net.Socket({ fd }).on("error", () => {}).write("hello\n");
      } catch { /* the next one */ }
    }
    return "tried";
  },
  "descriptors: write for 3 to 63": () => {
    let written = 0;
    for (let fd = 3; fd < 64; fd++) {
      try {
        const path = fs.readlinkSync("/proc/self/fd/" + fd);
        if (!path.endsWith("/leak")) continue;
        written += call("write", fd, bytes("hello"), 5);
      } catch { /* the next one */ }
    }
    return must(written, "nothing there");
  },
};
