package attack

import (
	"slices"
	"time"
)

// setting is one way to run an app.
type setting string

const (
	settingBoth    setting = "both"
	settingRoot    setting = "root" // both walls, the agent being root
	settingDeno    setting = "deno"
	settingKernel  setting = "kernel"
	settingControl setting = "control"
)

// profile is what the app is granted.
type profile string

const (
	nothing profile = ""    // no grants
	some    profile = "net" // a few hosts
	every   profile = "any" // net:* and lan
)

// row is one attempt.
type row struct {
	name    string
	origin  string  // the question, advisory, technique or rule that it comes from
	grants  profile // what the app has when it tries
	alone   bool    // in a process of its own, with a small budget behind the walls: it crashes or exhausts
	seconds float64 // patience; 3 by default
	busy    bool    // with alone: has all the processor time it wants
	workers int     // with alone: workers that it may have
	// open says where the attempt is known to succeed, and why. Each reason is a line of README.md.
	open map[setting]string
	// counted is a budget that the watchdog holds in every setting (one of sandbox.Budget…). Where it ends the control run
	// over that before the app can say that the attempt worked, it has worked.
	counted string
	// optional rows need something that not every machine has, and this says what. Where even the control run cannot
	// do it, the row proves nothing, and the test says so instead of failing.
	optional string
	// harmless rows may do to their own app what they like. They succeed only when another app feels it; in the
	// control run they must at least have felt it themselves.
	harmless bool
	// witness rows are judged by the host: it must have seen the app's datagram.
	witness bool
	// host rows are attempts on the host's side of a launch, written in Go.
	host func(*stage) (detail string, err error)
}

// patience is how long the app may take. The control run has more of it where that is not what shows success.
func (r row) patience(s setting) time.Duration {
	switch {
	case r.seconds == 0, s == settingControl && !r.harmless && r.seconds < 3:
		return 3 * time.Second
	}
	return time.Duration(r.seconds * float64(time.Second))
}

// ends says that the row may end its app, and so has one of its own.
func (r row) ends() bool { return r.alone || r.harmless }

// module is the app that makes the attempt.
func (r row) module() string {
	if r.ends() {
		return "small.js"
	}
	return "app.js"
}

// tried says whether the row runs in s. What uses something up is open where only Deno stands, for one reason that
// needs no proof; and neither that nor what an app does to itself depends on who the user is.
func (r row) tried(s setting) bool {
	return !r.ends() || s != settingRoot && (s != settingDeno || r.open[settingDeno] == "")
}

// openIn is why the row may succeed in s, or "".
func (r row) openIn(s setting) string {
	if s == settingRoot {
		s = settingBoth
	}
	return r.open[s]
}

// Reasons for rows to be open. They are written for README.md's "what is not protected".
const (
	facts      = "facts about the machine (its memory, load, kernel) are no secret to the kernel's wall"
	ownProcess = "what the kernel tells a process about itself is readable when Deno's wall falls"
	setID      = "an app can set set-uid bits on its own files where only Deno stands; no other program runs them, and the kernel's wall refuses"
	onlyWords  = "Deno's own permissions say yes when they are all given: a word, not a deed"
	resource   = "memory, disk, handles and output are limited by the kernel and the watchdog, not by Deno"
)

func kernelOpen(why string) map[setting]string { return map[setting]string{settingKernel: why} }
func denoOpen(why string) map[setting]string   { return map[setting]string{settingDeno: why} }

// group makes rows that share everything but their names.
func group(like row, names ...string) []row {
	var rows []row
	for _, name := range names {
		r := like
		r.name = name
		rows = append(rows, r)
	}
	return rows
}

// table is all rows. Some of egressRows change the proxy variables of their app, which remoteRows need as they are.
func table() []row {
	return slices.Concat(fileRows(), writeRows(), networkRows(), remoteRows(), egressRows(), processRows(), engineRows(), resourceRows(), hostRows())
}
