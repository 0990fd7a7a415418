package attack

import "slices"

// fileRows are testdata/files.js.
func fileRows() []row {
	const files = "issue 3: reading by every API"
	const static = "denoland/deno #3401, #6294: a module's imports read files"
	return slices.Concat(
		group(row{origin: files},
			"read: Deno.readTextFileSync", "read: Deno.readFile", "read: Deno.readFile of a file URL", "read: Deno.open",
			"read: a stream of Deno.open", "read: Deno.copyFile into data", "read: fs.readFileSync",
			"read: fs.promises.readFile", "read: fs.openSync and readSync", "read: fs.createReadStream",
			"read: fs.cpSync into data", "read: fs.copyFile into data", "read: fs.openAsBlob", "read: fs.promises.open",
			"read: fetch of a file URL", "read: fetch with dots in percent signs",
			"read: WebAssembly.compileStreaming of a file URL", "read: dots in the path",
			"read: a folder whose name begins like the app's", "read: a relative path after chdir",
			"read: a relative path after process.chdir", "read: /proc/self/root", "read: /proc/self/cwd"),
		group(row{origin: "GHSA-jxwh-q9gp-f7j9 and security.md: links are followed"},
			"read: a link made with Deno.symlink", "read: a link made with fs.symlink",
			"read: a folder link made with fs.symlink", "read: a hard link made with Deno.link",
			"read: a hard link made with fs.link", "read: a hard link made with linkat", "read: Deno.rename into data",
			"read: fs.rename into data", "read: exchange with renameat2"),
		group(row{origin: "issue 3: native code"},
			"read: openat", "read: openat2", "read: a file handle by name_to_handle_at"),
		group(row{origin: files},
			"list: Deno.readDir", "list: fs.readdirSync", "list: fs.readdir, recursive", "list: fs.opendir",
			"list: fs.globSync", "list: the parent of the app", "list: /", "list: /tmp"),
		group(row{origin: "issue 3: what Landlock has no right for"},
			"metadata: Deno.stat", "metadata: Deno.lstat", "metadata: fs.statSync", "metadata: fs.existsSync",
			"metadata: fs.accessSync", "metadata: fs.statfsSync", "metadata: Deno.readLink", "metadata: fs.readlinkSync",
			"metadata: Deno.realPath", "metadata: fs.realpathSync", "metadata: extended attributes"),
		group(row{origin: files}, "watch: Deno.watchFs", "watch: fs.watch", "watch: inotify", "watch: fanotify"),

		group(row{origin: "GHSA-qq26-84mh-26j9 (CVE-2025-61786): stat of an open file"}, "metadata: stat of a file open for writing"),
		group(row{origin: "GHSA-m87g-7g5m-wpx4: no-follow operations on /proc"}, "list: /proc/self/root"),
		group(row{origin: "GHSA-m87g-7g5m-wpx4: no-follow operations on /proc"}, "metadata: stat through /proc/self/root"),

		group(row{origin: "GHSA-prvv-4rg3-43v6, GHSA-968w-xfqw-vp9q (CVE-2026-49406): a path that leads out of node_modules"}, "import: a load hook that leads out"),
		group(row{origin: static}, "import: text", "import: JSON", "import: JavaScript", "import: WebAssembly",
			"import: /etc/passwd as text"),
		group(row{origin: "denoland/deno #2761: what a dynamic import imports"},
			"import: a data: module that imports", "import: a blob: module that imports", "import: a module in data that imports",
			"import: a module in data that re-exports"),
		group(row{origin: files},
			"import: a worker's module outside", "import: a data: worker that imports", "import: a data: worker that reads",
			"import: a worker that asks for permissions", "import: worker_threads, eval", "import: require of JSON",
			"import: require of a script", "import: require through a link"),
		group(row{origin: files}, "import: require.resolve as an oracle"),

		group(row{origin: files}, "sqlite: open", "sqlite: open for reading only", "sqlite: open by URI",
			"sqlite: vacuum into a folder outside", "sqlite: backup to a folder outside", "sqlite: load an extension",
			"kv: a database outside"),
		group(row{origin: "GHSA-8vxj-4cph-c596 (CVE-2025-48935), denoland/deno #35232: attached databases"},
			"sqlite: attach", "sqlite: attach after raising the limit", "sqlite: attach from memory"),

		group(row{origin: "issue 3: /proc and /dev"},
			"proc: list the processes", "proc: another process's environment", "proc: the parent's environment",
			"proc: the parent's command line", "proc: another process's memory", "proc: another process's files",
			"proc: another process's root", "proc: own environment", "proc: own killing order", "proc: own memory",
			"dev: shared memory", "dev: a terminal", "etc: passwd", "etc: hostname"),
		group(row{origin: "issue 3: /proc and /dev"}, "proc: the network", "proc: the mounts"),
		group(row{origin: "issue 3: /proc and /dev", open: kernelOpen(ownProcess)},
			"proc: own memory map", "dev: a descriptor by path"),
	)
}

// writeRows are testdata/writes.js.
func writeRows() []row {
	const files = "issue 3: writing by every API"
	return slices.Concat(
		group(row{origin: files},
			"write: Deno.writeTextFileSync", "write: Deno.writeFile", "write: Deno.create", "write: Deno.open", "write: append",
			"write: Deno.truncate", "write: open and truncate", "write: Deno.mkdir", "write: Deno.makeTempFile in a folder",
			"write: Deno.makeTempDir", "write: Deno.copyFile out",
			"write: Deno.rename out", "write: Deno.link out", "write: Deno.symlink outside", "write: Deno.remove",
			"write: Deno.remove, a tree", "write: fs.writeFileSync", "write: fs.appendFileSync", "write: fs.promises.writeFile",
			"write: fs.createWriteStream", "write: fs.mkdtempSync", "write: fs.cpSync out", "write: fs.renameSync out",
			"write: fs.linkSync out", "write: fs.rmSync", "write: fs.unlinkSync", "write: fs.truncateSync", "write: truncate",
			"write: through a link", "write: the app's own code", "write: replace the app's module",
			"write: the entry module's folder", "write: the log", "write: the socket folder", "write: /tmp"),
		group(row{origin: "issue 3: persistence"},
			"persist: autostart", "persist: a shell's start-up file", "persist: a user service", "persist: ssh keys"),
		group(row{origin: "Landlock has no right for these"},
			"mode: Deno.chmod outside", "mode: fs.chmodSync outside", "mode: Deno.chown outside", "mode: Deno.utime outside",
			"mode: fs.lutimesSync outside", "mode: extended attributes outside"),
		group(row{origin: "GHSA-vg2r-rmgp-cgqj (CVE-2025-61785): times of a file without the right to write it"},
			"mode: times of a file open for reading"),
		group(row{origin: "security.md 11: set-uid bits by every API"},
			"set-gid: a new folder's mode", "set-uid: creat", "set-uid: openat", "set-uid: mknod",
			"set-uid: fchmodat2"),
		group(row{origin: "security.md 11: set-uid bits by every API", open: denoOpen(setID)},
			"set-uid: Deno.chmod", "set-uid: fs.chmodSync", "set-uid: fs.fchmodSync"),
		group(row{origin: "issue 3: native code"}, "special file: a pipe by mknod"),
	)
}
