//go:build linux

// Command paddock-launch turns itself into one confined program: it reads a wall.Plan from an inherited descriptor,
// puts the plan's walls around itself and calls execve. It is a small static program of its own because starting it
// costs 2.4 ms, where starting the agent's or a window's binary a second time costs 9 to 15 ms.
//
// It must not know what an app is: everything it does is in the plan.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"paddock/sandbox/wall"
)

// The main goroutine must stay on the main thread: capabilities, Landlock and seccomp belong to a thread, and the one
// that calls execve is the one that stays.
func init() { runtime.LockOSThread() }

func main() {
	err := launch()
	fmt.Fprintln(os.Stderr, "paddock-launch:", err)
	os.Exit(126) // what a shell answers for a command that was found and could not be run
}

// launch returns only on failure.
func launch() error {
	input := os.NewFile(wall.PlanFD, "plan")
	status := os.NewFile(wall.StatusFD, "status")
	apart := wall.Stay(errors.New("the agent asked for no view"))
	if len(os.Args) > 1 { // it was started apart, and is told from where
		apart = wall.Leave(os.Args[1])
	}
	wall.Rehearse() // the agent starts this program ahead of the app that it will become
	text, err := io.ReadAll(io.LimitReader(input, wall.MaxPlanBytes+1))
	if err != nil {
		return fmt.Errorf("read the plan from descriptor %d (this program is started by paddock, not by hand): %w", wall.PlanFD, err)
	}
	if len(text) > wall.MaxPlanBytes {
		return fmt.Errorf("the plan is larger than %d bytes", wall.MaxPlanBytes)
	}
	var plan wall.Plan
	if err := json.Unmarshal(text, &plan); err != nil {
		return fmt.Errorf("understand the plan: %w", err)
	}
	return wall.Apply(plan, status, apart)
}
