package sandbox

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"paddock/sandbox/wall"
)

// Report says which walls really stand, from what was read back.
type Report struct {
	Level string // "full", "partial" or "basic"
	Open  string // what stays open, for people; "" with "full"
	Walls []Wall
}

// States of a Wall.
const (
	Enforced = "enforced"
	Partly   = "partial"
	Absent   = "absent"
)

// Wall is one layer.
type Wall struct {
	Name  string
	State string // Enforced, Partly or Absent
	Why   string // what it rests on, or why it is not there
}

// Report looks at the running process. After its end it says what held.
func (in *Instance) Report() Report {
	word, open := in.applied.Level(in.plan)
	r := Report{Level: max(word, wall.Basic).String(), Open: strings.Join(open, "; ")}
	r.Walls = append(r.Walls, Wall{"Deno permissions", Enforced, "only the granted flags; the app's own socket is given up before the app is loaded"})
	status, err := procStatus(in.proc.pid)
	alive := err == nil
	add := func(name string, held bool, how, whyNot string) {
		state := Enforced
		if !held {
			state, how = Absent, whyNot
		}
		r.Walls = append(r.Walls, Wall{name, state, how})
	}
	read := func(field, want string) bool { return !alive || status[field] == want }

	files := Wall{"files (Landlock)", Enforced, fmt.Sprintf("Landlock ABI %d", in.applied.LandlockABI)}
	switch {
	case in.applied.LandlockABI == 0:
		files.State, files.Why = Absent, in.applied.LandlockWhy
	case word < wall.Full && in.plan.Seccomp != nil && in.plan.Seccomp.Connect:
		files.State = Partly
		files.Why += ", which does not cover the sockets of local programs (from ABI 9 on it does)"
	}
	r.Walls = append(r.Walls, files)
	add("system calls (seccomp)", in.applied.Seccomp && read("Seccomp", "2"), "a filter is loaded", in.applied.SeccompWhy)
	add("privileges", in.applied.NoCaps && read("NoNewPrivs", "1") && read("CapEff", "0000000000000000"),
		"no capabilities, and none can be gained", "the process has privileges it should not have")
	r.Walls = append(r.Walls, in.memoryWall(alive))
	if in.proxy == nil {
		add("network", in.applied.Seccomp, "no connections at all: nothing is granted", "kept closed by Deno only")
	} else {
		add("network", in.applied.Seccomp, "only through the app's own proxy, to what is granted", "the proxy can be bypassed when Deno's wall falls")
	}
	return r
}

func (in *Instance) memoryWall(alive bool) Wall {
	w := Wall{"memory (kernel limit)", Enforced, fmt.Sprintf("%d MB of address space", in.plan.Limits.DataBytes>>20)}
	if in.plan.Limits.DataBytes == 0 || runtime.GOOS != "linux" {
		return Wall{w.Name, Absent, "memory is checked every 10 to 250 ms, not by the kernel"}
	}
	if alive {
		if have, err := dataLimitOf(in.proc.pid); err == nil && have != uint64(in.plan.Limits.DataBytes) {
			return Wall{w.Name, Absent, "the kernel holds another limit than was set"}
		}
	}
	if n := in.budget().WorkerCount(); n > 0 {
		w.State = Partly
		w.Why += fmt.Sprintf("; room for %d workers is included, so up to then memory is checked every 10 to 250 ms", n)
	}
	return w
}

// Probe says what this machine can enforce, by starting an idle app and looking at it.
func (s *Supervisor) Probe(ctx context.Context) Report {
	var r Report
	base, err := s.baseData(ctx)
	if err == nil {
		err = s.withIdle(ctx, base, func(in *Instance) { r = in.Report() })
	}
	if err != nil {
		return Report{Level: "basic", Open: err.Error(), Walls: []Wall{{"start of an idle app", Absent, err.Error()}}}
	}
	return r
}
