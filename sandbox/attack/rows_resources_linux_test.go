package attack

import (
	"slices"

	"paddock/sandbox"
)

// resourceRows are testdata/resources.js.
func resourceRows() []row {
	like := row{origin: "issue 3: resource exhaustion", alone: true, seconds: 25, open: denoOpen(resource)}
	return slices.Concat(
		group(like,
			"memory: the heap", "memory: array buffers", "memory: shared array buffers", "memory: buffers of Node", "memory: blobs",
			"memory: WebAssembly", "memory: one WebAssembly memory that grows", "memory: SQLite",
			"memory: workers", "memory: worker_threads with limits of their own", "processor: a loop",
			"disk: one large file", "disk: many files", "disk: copies", "disk: a file without a name", "disk: a file with holes",
			"disk: the Cache", "disk: SQLite's temporary files", "handles: files", "exact: array buffers", "exact: the heap",
			"exact: WebAssembly"),
		group(row{origin: "security.md 15: a worker at the exact budget", alone: true, busy: true, workers: 1, seconds: 25, open: denoOpen(resource)},
			"exact: a worker"),
		group(row{origin: "issue 3: inodes", alone: true, busy: true, seconds: 25, open: denoOpen(resource)}, "disk: empty files"),
		group(row{origin: "issue 3: socket flood", alone: true, busy: true, grants: some, seconds: 25, open: denoOpen(resource)},
			"handles: connections to the proxy"),
		group(row{origin: "issue 3: thread flood", alone: true, busy: true, seconds: 25, counted: sandbox.BudgetProcesses},
			"threads: by native code"),
		group(row{origin: "issue 3: system information", alone: true, busy: true, seconds: 25}, "sys: a heap snapshot outside"),
		group(row{origin: like.origin, alone: true, seconds: 25},
			"memory: mmap", "memory: shared mmap of a memory file", "disk: fallocate"),
	)
}
