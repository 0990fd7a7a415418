package sandbox

import (
	"os"
	"syscall"
	"testing"
	"time"
)

// standbyOf waits until all stand by that will, and returns the process id of the one that comes next.
func standbyOf(t testing.TB, sup *Supervisor) (pid int) {
	t.Helper()
	waitFor(t, "processes to stand by", func() bool {
		sup.mu.Lock()
		defer sup.mu.Unlock()
		if len(sup.ahead) == standbys {
			pid = sup.ahead[0].launcher.cmd.Process.Pid
		}
		return pid != 0
	})
	return pid
}

// What stands by becomes the next app; one that died is replaced; and Close leaves none.
func TestStandby(t *testing.T) {
	sup := supervisorForTest(t)
	if err := sup.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	pid := standbyOf(t, sup)
	sup.mu.Lock()
	second := sup.ahead[1].launcher.cmd.Process.Pid
	sup.mu.Unlock()
	spec := specForTest(t, `export default { fetch: () => new Response("ok") };`)
	in := launchForTest(t, sup, spec)
	if in.PID() != pid {
		t.Errorf("the app is process %d, and %d stood by", in.PID(), pid)
	}
	if p := in.Phases(); p.Prepare <= 0 || p.Fork <= 0 || p.Walls < p.Fork || p.Listening < p.Walls || p.Ready < p.Listening {
		t.Errorf("phases: %+v", p)
	}

	dead := standbyOf(t, sup)
	if dead != second {
		t.Errorf("%d comes next, and %d has stood by for longer", dead, second)
	}
	if err := syscall.Kill(dead, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "its end", func() bool {
		sup.mu.Lock()
		defer sup.mu.Unlock()
		return !sup.ahead[0].launcher.alive()
	})
	again := specForTest(t, `export default { fetch: () => new Response("ok") };`)
	again.ID = "other"
	if in := launchForTest(t, sup, again); in.PID() == dead || ask(t, in, "/") != "ok" {
		t.Errorf("the app is process %d, and %d is dead", in.PID(), dead)
	}

	last := standbyOf(t, sup)
	if err := sup.Close(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for syscall.Kill(last, 0) == nil {
		if time.Now().After(deadline) {
			t.Fatal("a process still stands by after Close")
		}
	}
	if _, err := os.Stat(sparesOf(sup.options.SocketDir)); !os.IsNotExist(err) {
		t.Errorf("a folder made ahead is there after Close: %v", err)
	}
	if err := sup.Warm(t.Context()); err != nil {
		t.Errorf("warming a closed supervisor: %v", err)
	}
}
