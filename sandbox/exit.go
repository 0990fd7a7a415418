package sandbox

import (
	"fmt"
	"strings"
	"time"
)

// Reason says why an instance ended, in the words of the command line's history.
type Reason string

// The reasons.
const (
	Finished    Reason = "finished"     // ended by itself with code 0
	Crashed     Reason = "crashed"      // ended by itself with another code or a signal
	Stopped     Reason = "stopped"      // the host was asked to stop it
	OverBudget  Reason = "over_budget"  // a budget was crossed
	StartFailed Reason = "start_failed" // never answered
	HostClosed  Reason = "host_closed"  // the supervisor was closed
)

// Exit is how an instance ended.
type Exit struct {
	Reason Reason
	Code   int     // exit code; -1 when a signal ended it
	Signal string  // name of the signal, "" without one
	Breach *Breach // with OverBudget
	Tail   string  // the end of its output, at most tailBytes
	At     time.Time
}

// Reasons of a StartError.
const (
	StartExited         = "exited"          // the process ended before it answered
	StartDeadline       = "deadline"        // it did not answer in time
	StartRefused        = "refused"         // the walls could not be put up
	StartRuntimeMissing = "runtime_missing" // there is no Deno, or it cannot be run
	StartRuntimeAltered = "runtime_altered" // Deno's file is not the pinned one
	StartNoSpace        = "no_space"        // the file system that would hold what it writes is too full
	StartBadSpec        = "bad_spec"        // the spec cannot be run
	StartCanceled       = "canceled"        // the caller gave up waiting
)

// StartError is why Launch failed.
type StartError struct {
	Reason string // one of the Start constants
	Exit   Exit   // with StartExited and StartDeadline
	Tail   string // the end of the app's output
	Err    error  // the cause, may be nil
}

func (e *StartError) Error() string {
	var b strings.Builder
	switch e.Reason {
	case StartExited:
		if e.Exit.Breach != nil {
			fmt.Fprintf(&b, "the app went over its %s budget while starting", e.Exit.Breach.noun())
		} else if e.Exit.Signal != "" {
			fmt.Fprintf(&b, "the app was ended by %s while starting", e.Exit.Signal)
		} else {
			fmt.Fprintf(&b, "the app exited with code %d before it answered", e.Exit.Code)
		}
	case StartDeadline:
		b.WriteString("the app did not answer in time")
	case StartRefused:
		b.WriteString("the app could not be confined and was not started")
	case StartRuntimeMissing:
		b.WriteString("the Deno runtime is missing")
	case StartRuntimeAltered:
		b.WriteString("the Deno runtime is not the one this Paddock was made for; install Paddock again")
	case StartNoSpace:
		b.WriteString("the disk is nearly full")
	case StartBadSpec:
		b.WriteString("the app cannot be run as described")
	case StartCanceled:
		b.WriteString("starting the app was given up")
	default:
		b.WriteString("the app did not start: " + e.Reason)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

func (e *StartError) Unwrap() error { return e.Err }

// outOfMemory are phrases that V8, Rust's and C's allocators print as they end a process for lack of memory.
var outOfMemory = []string{
	"JavaScript heap out of memory", "Fatal process out of memory", "Fatal JavaScript out of memory",
	"memory allocation of", "Failed to reserve virtual memory", "Allocation failed", "out of memory",
}

// deathSignals are the signals by which an allocator ends its process.
var deathSignals = map[string]bool{"SIGTRAP": true, "SIGABRT": true, "SIGILL": true, "SIGSEGV": true, "SIGBUS": true}

// ranOut judges whether a process that ended by itself ended for lack of memory, that is over its budget: an allocator
// ended it, and it had come near the budget or the kernel's wall. killed says that the kernel may have ended it for its
// control group's sake. u are its last figures.
func ranOut(e Exit, killed bool, b Budget, u Usage) *Breach {
	if !deathSignals[e.Signal] && !killed {
		return nil
	}
	limit := b.WithDefaults().MemoryBytes
	near := u.AtMemoryWall || u.PeakMemoryBytes >= limit/10*9
	said := false // what a killed one printed before has nothing to do with its end
	for _, phrase := range outOfMemory {
		said = said || !killed && strings.Contains(e.Tail, phrase)
	}
	// Samples are up to a quarter of a second old, in which an app can take half a gigabyte: V8's own report of its
	// limit, which comes from the budget, counts without them.
	if !near && !said {
		return nil
	}
	return &Breach{Budget: BudgetMemory, Limit: float64(limit), Measured: float64(max(u.PeakMemoryBytes, u.MemoryBytes))}
}
