package wall

import (
	"encoding/json"
)

// Rehearse does once, to no effect, what Apply will do with memory only: reading a plan and assembling the filter. A
// launcher that waits for its plan has the time; without it a third of what follows the plan is page faults and tables
// that are made at first use.
func Rehearse() {
	text, err := json.Marshal(Plan{
		Exec: Exec{Path: "/", Args: []string{""}, Env: []string{""}, Dir: "/"}, Landlock: &Landlock{Rules: []Rule{{Path: "/", Role: ReadFile, Optional: true}}},
		Seccomp: &Seccomp{ConnectTo: "/"},
	})
	var p Plan
	if err != nil || json.Unmarshal(text, &p) != nil || p.Check() != nil {
		return
	}
	for range 2 { // the second time on a thread that is there already
		_, _ = assembleCalls(p, pinned{}, Apart{})(false)
	}
	_, _ = json.Marshal(Applied{})
	_ = LandlockABI()
}
