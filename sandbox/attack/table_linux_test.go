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
	seconds int     // patience; 3 by default
	// open says where the attempt is known to succeed, and why. Each reason is a line of README.md.
	open map[setting]string
	// harmless rows may do to their own app what they like. They succeed only when another app feels it; in the
	// control run they must at least have felt it themselves.
	harmless bool
	// witness rows are judged by the host: it must have seen the app's datagram.
	witness bool
	// host rows are attempts on the host's side of a launch, written in Go.
	host func(*stage) (detail string, err error)
}

func (r row) patience() time.Duration {
	if r.seconds > 0 {
		return time.Duration(r.seconds) * time.Second
	}
	return 3 * time.Second
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
	metadata   = "names, sizes, times and link targets of files elsewhere can be found out when Deno's wall falls: Landlock has no right for them"
	facts      = "facts about the machine (its name, memory, load) are no secret to the kernel's wall"
	ownProcess = "what the kernel tells a process about itself, mounted file systems and open ports of the machine included, is readable when Deno's wall falls"
	modes      = "modes, owners, times and attributes of the user's files can be changed when Deno's wall falls, though not what is in them: Landlock has no right for them"
	setID      = "an app can set set-uid bits on its own files where only Deno stands; no other program runs them, and the kernel's wall refuses"
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

// table is all rows.
func table() []row {
	return slices.Concat(fileRows(), writeRows(), networkRows(), egressRows(), processRows(), engineRows(), resourceRows(), hostRows())
}
