package attack

import "slices"

// processRows are testdata/processes.js.
func processRows() []row {
	const (
		programs = "issue 3: process creation"
		native   = "issue 3: native code"
		signals  = "issue 3: signals, ptrace, namespaces"
		facts3   = "issue 3: environment and system information"
		apps     = "issue 3: app against app"
	)
	const (
		libraries = "the runtime's own libraries can be called when Deno's wall falls: what they do stays behind the kernel's"
		inherited = "a descriptor that the agent leaves open would be open to node:net: the launcher closes them all"
		ownFiles  = "an app can change its own runtime folder, and so what Deno keeps of the host's entry for its next start, when Deno's wall falls; the kernel's wall stands at that start too"
		drivers   = "software rendering of navigator.gpu where a driver can be loaded and only Deno stands"
	)
	return slices.Concat(
		group(row{origin: programs},
			"run: Deno.Command", "run: Deno.Command, a shell", "run: Deno.Command, Deno with all rights",
			"run: Deno.Command with LD_PRELOAD", "run: Deno.Command, detached", "run: Deno.spawn", "run: Deno.spawnAndWaitSync",
			"run: a script in data", "run: a program in data", "run: a program in data through the dynamic linker",
			"run: execFileSync", "run: execSync", "run: spawnSync", "run: spawn", "run: fork",
			"run: cluster.fork", "run: another module with node:worker_threads",
			"fork", "fork: clone3", "fork: a user namespace", "namespace: unshare"),
		group(row{origin: "GHSA-hmh4-3xvx-q5hr (CVE-2026-27190): a crafted argument of node:child_process"}, "run: exec with a crafted argument"),
		group(row{origin: programs, witness: true},
			"exec: a shell in place of the app", "exec: a shell through the dynamic linker", "exec: Deno in place of the app",
			"exec: a program in memory"),
		group(row{origin: native}, "native: a library of the system", "native: write into own code"),
		group(row{origin: "issue 3: napi and dlopen", open: kernelOpen(libraries)}, "native: Deno.dlopen of the C library"),
		group(row{origin: "issue 3: napi and dlopen"},
			"native: Deno.dlopen of a library in data", "native: process.dlopen of a library in data"),
		group(row{origin: signals},
			"signal: Deno.kill", "signal: process.kill", "signal: process.kill with 0", "signal: the agent", "signal: another app",
			"signal: another app's group", "signal: everybody", "signal: kill", "signal: kill, with a number too large",
			"signal: tkill", "signal: tgkill", "signal: rt_sigqueueinfo", "signal: a process descriptor", "process: ptrace",
			"process: read memory", "process: write memory", "process: another app's memory", "process: take a descriptor",
			"process: compare", "process: its list of locks", "process: priority", "process: priority by node:os",
			"process: scheduling", "process: processors", "process: disk priority", "process: limits", "process: own limits",
			"process: own limits, the old call", "process: outlive the agent", "process: hide from the watchdog",
			"process: own user", "kernel: personality", "kernel: keyring", "kernel: session keyring", "kernel: shared memory",
			"kernel: semaphores", "kernel: message queue", "kernel: POSIX message queue"),
		group(row{origin: signals, optional: "the kernel may have it switched off"}, "kernel: userfaultfd", "kernel: io_uring"),
		group(row{origin: signals}, "process: read limits"),

		group(row{origin: facts3},
			"env: Deno.env.get", "env: process.env", "env: process.env, listed", "env: another module system", "env: a worker",
			"env: worker_threads", "env: getenv", "sys: network interfaces", "sys: network interfaces by node:os",
			"sys: a report", "sys: processors"),
		group(row{origin: "GHSA-7w8p-chxq-2789 (CVE-2025-48934): Deno.env.toObject"}, "env: Deno.env.toObject"),
		group(row{origin: "GHSA-4c8g-jvcx-v4hv (CVE-2026-49983): process.loadEnvFile"}, "env: process.loadEnvFile"),
		group(row{origin: "denoland/deno #36222: umask without the right to it", open: kernelOpen(facts)}, "sys: umask"),
		group(row{origin: facts3}, "sys: hostname", "sys: hostname by node:os"),
		group(row{origin: facts3, open: kernelOpen(facts)},
			"sys: kernel release", "sys: uptime", "sys: memory",
			"sys: memory by node:os", "sys: user", "sys: user by process", "sys: the inspector"),
		group(row{origin: "security.md 12", open: denoOpen(drivers), optional: "without a driver for graphics there is nothing to load"},
			"sys: the graphics processor"),

		group(row{origin: apps},
			"neighbour: its data", "neighbour: its code", "neighbour: write its data", "neighbour: its storage",
			"neighbour: its environment", "neighbour: its command line", "neighbour: its code by import", "neighbour: its working folder",
			"neighbour: its log", "neighbour: its cache", "neighbour: its page", "neighbour: remove its socket"),
		group(row{origin: "sandbox.md: rewriting the entry's cached bytecode", open: kernelOpen(ownFiles)},
			"runtime folder: write the cached entry", "runtime folder: rewrite the cached bytecode", "runtime folder: list"),
		group(row{origin: "sandbox.md: rewriting the entry's cached bytecode"}, "runtime folder: remove"),
		group(row{origin: "deno-facts.md 1: the app's own socket"}, "socket: remove the own", "socket: replace the own by a file"),
		group(row{origin: "security.md 7: net.Socket({fd}) for 0 to 63", witness: true, open: denoOpen(inherited)},
			"descriptors: net.Socket for 0 to 63"),
		group(row{origin: "security.md 7: net.Socket({fd}) for 0 to 63", witness: true},
			"descriptors: write for 3 to 63"),
	)
}

// engineRows are testdata/engine.js.
func engineRows() []row {
	return slices.Concat(
		group(row{origin: "vm2: constructors (CVE-2019-10761 and before)"},
			"escape: constructor of a constructor", "escape: eval in the global scope", "escape: generator and async constructors"),
		group(row{origin: "vm2: prototype chains (CVE-2019-10761, CVE-2021-23449)"}, "escape: prototype chains"),
		group(row{origin: "vm2: custom inspection (CVE-2023-37903)"}, "escape: a custom inspection"),
		group(row{origin: "vm2: Error.prepareStackTrace (CVE-2022-36067, CVE-2023-29017)"}, "escape: Error.prepareStackTrace"),
		group(row{origin: "vm2: errors of the host (CVE-2023-29199, CVE-2023-30547)"},
			"escape: an error of the host", "escape: a stack overflow in the host"),
		group(row{origin: "vm2: proxies (CVE-2023-32314)"}, "escape: proxies"),
		group(row{origin: "vm2: promises (CVE-2023-37466, CVE-2026-22709)"}, "escape: Symbol.species of a promise"),
		group(row{origin: "vm2: async generators (CVE-2026-45411)"}, "escape: a thenable in an async generator"),
		group(row{origin: "vm2: async hooks"}, "escape: async hooks"),
		group(row{origin: "issue 3: in-process escapes"},
			"escape: a finalizer", "escape: node:vm, a new context", "escape: node:vm, this context", "escape: node:vm, a function",
			"escape: node:vm, an import", "escape: process.mainModule and _load", "escape: a require of the app's own making",
			"escape: process.binding", "escape: Deno's own core", "escape: a replaced permission check", "escape: a fresh global",
			"escape: WebAssembly imports", "escape: V8 flags at run time", "escape: a structured clone of a handle"),
		group(row{origin: "deno-facts.md 7: nothing can be asked for again", open: kernelOpen(onlyWords)},
			"escape: ask in a worker", "escape: answer the question oneself"),
		group(row{origin: "deno-facts.md 7: nothing can be asked for again"}, "escape: ask for more"),
		group(row{origin: "security.md 8: an app can stop itself only", harmless: true, seconds: 0.4},
			"itself: close every resource", "itself: BrowserWindow", "itself: kill", "itself: SIGUSR1", "itself: SIGSTOP",
			"itself: process.abort", "itself: exit", "itself: an endless loop", "itself: deaf to every signal",
			"itself: an endless regular expression"),
		group(row{origin: "issue 3: output flood", harmless: true, seconds: 0.4}, "itself: an endless output"),
		group(row{origin: "security.md 7: the audit pipe", harmless: true, seconds: 0.4}, "itself: endless reports", "itself: forged reports"),
	)
}
