package sandbox

import (
	"path/filepath"
	"slices"

	"paddock/sandbox/wall"
)

// workerBytes is the address space one JavaScript worker reserves (V8 15.0, measured: 541, 1064, 1586, 2632, 4722 MB
// for 0, 1, 2, 4 and 8 workers).
const workerBytes = 523 << 20

// openFiles bounds descriptors. Deno starts with 24; an app that serves a browser needs some dozens.
const openFiles = 1024

// runtimeFiles is what Deno's executable needs of the system, found once per file: see inspectRuntime.
type runtimeFiles struct {
	interpreter string   // the dynamic linker
	libraries   []string // shared objects, resolved to where they are found
}

// systemFiles are single files that Deno reads on Linux. There is no folder of libraries among them: those hold the
// drivers for GPUs, which a page-less navigator.gpu would load.
var systemFiles = []wall.Rule{
	{Path: "/dev/null", Role: wall.WriteFile, Optional: true},
	{Path: "/dev/random", Role: wall.ReadFile, Optional: true},
	{Path: "/dev/urandom", Role: wall.ReadFile, Optional: true},
	{Path: "/dev/zero", Role: wall.ReadFile, Optional: true},
	{Path: "/etc/ld.so.cache", Role: wall.ReadFile, Optional: true},
	{Path: "/etc/localtime", Role: wall.ReadFile, Optional: true},
	{Path: "/proc/cpuinfo", Role: wall.ReadFile, Optional: true},
	{Path: "/proc/meminfo", Role: wall.ReadFile, Optional: true},
	{Path: "/proc/self", Role: wall.ReadTree}, // means this process only: the rule is made before execve, which keeps the pid
	{Path: "/proc/sys/kernel/osrelease", Role: wall.ReadFile, Optional: true},
	{Path: "/proc/sys/vm/overcommit_memory", Role: wall.ReadFile, Optional: true},
	{Path: "/sys/devices/system/cpu", Role: wall.ReadTree, Optional: true},
	{Path: "/usr/share/zoneinfo", Role: wall.ReadTree, Optional: true},
}

// wallPlan computes the second wall for s. It is pure. baseData is the address space of an idle Deno in bytes; 0 sets
// no memory wall, which only measuring it needs.
func wallPlan(o Options, s Spec, p Paths, c Command, files runtimeFiles, baseData int64, parent int) wall.Plan {
	b := s.Budget.WithDefaults()
	rules := []wall.Rule{{Path: o.Deno, Role: wall.RunFile}}
	if files.interpreter != "" {
		rules = append(rules, wall.Rule{Path: files.interpreter, Role: wall.RunFile})
	}
	for _, library := range files.libraries {
		rules = append(rules, wall.Rule{Path: library, Role: wall.LoadFile})
	}
	rules = append(rules, systemFiles...)
	rules = append(rules,
		wall.Rule{Path: p.Entry.Dir, Role: wall.ReadTree},
		wall.Rule{Path: s.AppDir, Role: wall.ReadTree},
		wall.Rule{Path: s.DataDir, Role: wall.WriteTree},
		wall.Rule{Path: s.RuntimeDir, Role: wall.WriteTree},
		wall.Rule{Path: p.Sockets, Role: wall.Listen})
	if p.Proxy != "" {
		rules = append(rules, wall.Rule{Path: filepath.Dir(p.Proxy), Role: wall.Connect})
	}
	if p.Audit != "" {
		rules = append(rules, wall.Rule{Path: p.Audit, Role: wall.WriteFile})
	}
	for _, slot := range s.Slots {
		rules = append(rules, wall.Rule{Path: slot.Path, Role: slot.role()})
	}
	plan := wall.Plan{
		Parent:   parent,
		Exec:     wall.Exec{Path: c.Path, Args: append([]string{"deno"}, c.Args...), Env: c.Env, Dir: c.Dir},
		Limits:   wall.Limits{FileBytes: b.DiskBytes, OpenFiles: openFiles},
		Landlock: &wall.Landlock{Rules: rules},
		// An app without egress has no business connecting anything, and only one with slots sees files change that
		// it did not change itself.
		Seccomp: &wall.Seccomp{ConnectTo: p.Proxy, Watch: len(s.Slots) > 0},
		Require: s.Require,
	}
	if !o.NoView {
		plan.View = &wall.View{Hostname: machineName(s)}
	}
	if baseData > 0 {
		plan.Limits.DataBytes = baseData + b.MemoryBytes + int64(b.WorkerCount())*workerBytes
	}
	return plan
}

// hiddenName is what an app takes for the name of the machine unless it was granted the real one.
const hiddenName = "localhost"

func machineName(s Spec) string {
	if slices.Contains(s.Allow.Diff(s.Deny).SysNames(), "hostname") {
		return ""
	}
	return hiddenName
}

func (s Slot) role() wall.Role {
	switch {
	case s.Folder && s.Write:
		return wall.WriteTree
	case s.Folder:
		return wall.ReadTree
	case s.Write:
		return wall.WriteFile
	}
	return wall.ReadFile
}
