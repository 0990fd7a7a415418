package sandbox

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	ossignal "os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// gate holds up whoever opens or executes a file next, and says so: a lease, which the kernel asks its holder to give
// up. The test's own process must not open the file meanwhile.
type gate struct {
	t       *testing.T
	file    *os.File
	knocked chan os.Signal
}

func gateOn(t *testing.T, path string) *gate {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{t: t, file: f, knocked: make(chan os.Signal, 1)}
	ossignal.Notify(g.knocked, unix.SIGIO)
	t.Cleanup(g.open)
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Skipf("no lease can be had on %s, so nothing can be stopped there: %v", path, err)
	}
	return g
}

// wait returns when somebody stands at the gate.
func (g *gate) wait() {
	g.t.Helper()
	select {
	case <-g.knocked:
	case <-time.After(60 * time.Second):
		g.t.Fatalf("nobody opened %s", g.file.Name())
	}
}

// open lets everybody through.
func (g *gate) open() {
	ossignal.Stop(g.knocked)
	_ = g.file.Close()
}

// dying is one launch that will be killed.
type dying struct {
	t    *testing.T
	sup  *Supervisor
	spec Spec
	err  chan error // what Launch answered
}

// begin launches, up to where paddock-launch has its plan and has not read it: it is stopped. The instance is there.
func (d *dying) begin() *Instance {
	d.t.Helper()
	d.sup.refill()
	pid := standbyOf(d.t, d.sup)
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		d.t.Fatal(err)
	}
	waitFor(d.t, "the launcher to stop", func() bool {
		status, err := procStatus(pid)
		return err == nil && strings.HasPrefix(status["State"], "T")
	})
	go func() {
		_, err := d.sup.Launch(d.t.Context(), d.spec)
		d.err <- err
	}()
	var in *Instance
	waitFor(d.t, "the instance", func() bool {
		d.sup.mu.Lock()
		defer d.sup.mu.Unlock()
		in = d.sup.instances[d.spec.ID]
		return in != nil
	})
	if in.PID() != pid {
		d.t.Fatalf("the instance is process %d, and %d stood by", in.PID(), pid)
	}
	return in
}

func (d *dying) goOn(in *Instance) {
	d.t.Helper()
	if err := unix.Kill(in.PID(), unix.SIGCONT); err != nil {
		d.t.Fatal(err)
	}
}

// An app that is killed at any step of its start: the launch ends at once with a reason, nothing of it is left, its
// neighbour notices nothing, and the next launch works. What comes after the start is tested in package app, where
// somebody waits for an answer.
func TestDeathAtEachStepOfTheStart(t *testing.T) {
	sup := supervisorForTest(t, func(o *Options) {
		// a Deno of its own, which nobody else has open
		own := filepath.Join(t.TempDir(), "deno")
		if out, err := exec.Command("cp", "--reflink=auto", o.Deno, own).CombinedOutput(); err != nil {
			t.Fatalf("copy Deno: %v %s", err, out)
		}
		o.Deno = own
	})
	spec := specForTest(t, `const step = Deno.env.has("PADDOCK_STEP");
if (step) { console.log("in the app's first line"); await new Promise(() => setInterval(() => {}, 1000)); }
export default { fetch: () => new Response("ok") };`)
	spec.API = APIFetch                        // so that the host does not look into the module, where there is a gate
	spec.Allow = setOf(t, "net:a.example:80")  // with a proxy and its socket
	spec.Budget.StartTimeout = 2 * time.Minute // what ends a launch here is the death alone
	wait, free := spec, spec                   // the app that stops in its first line, and the one that does not
	wait.Facts = map[string]string{"PADDOCK_STEP": "wait"}
	if in := launchForTest(t, sup, free); ask(t, in, "/") == "ok" { // brings everything into memory, and nothing is opened twice afterwards
		in.Kill()
		ended(t, in)
	}
	neighbour := specForTest(t, `export default { fetch: () => new Response("fine") };`)
	neighbour.ID = "neighbour"

	steps := []struct {
		name   string
		spec   Spec
		reason string
		reach  func(*dying) *Instance
	}{
		// first: a program that runs, as the neighbour's does from then on, cannot be leased
		{"the walls stand", free, StartExited, func(d *dying) *Instance {
			in := d.begin()
			g := gateOn(d.t, sup.options.Deno)
			d.goOn(in)
			g.wait() // for execve
			return in
		}},
		{"the launcher has its plan", free, StartRefused, (*dying).begin},
		{"Deno runs", free, StartExited, func(d *dying) *Instance {
			in := d.begin()
			g := gateOn(d.t, in.paths.Entry.Entry)
			d.goOn(in)
			g.wait()
			return in
		}},
		{"the entry module listens", free, StartExited, func(d *dying) *Instance {
			in := d.begin()
			gateOn(d.t, filepath.Join(d.spec.AppDir, d.spec.Entry)) // no further than that
			d.goOn(in)
			<-in.listening
			return in
		}},
		{"the app is imported", free, StartExited, func(d *dying) *Instance {
			in := d.begin()
			g := gateOn(d.t, filepath.Join(d.spec.AppDir, d.spec.Entry))
			d.goOn(in)
			g.wait()
			return in
		}},
		{"the app's first line runs", wait, StartExited, func(d *dying) *Instance {
			in := d.begin()
			d.goOn(in)
			waitFor(d.t, "the app's first word", func() bool { return strings.Contains(in.output.text(), "first line") })
			return in
		}},
	}
	handles := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	before := 0
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			d := &dying{t: t, sup: sup, spec: step.spec, err: make(chan error, 1)}
			in := step.reach(d)
			killed := time.Now()
			if err := unix.Kill(in.PID(), unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			var err error
			select {
			case err = <-d.err:
			case <-time.After(60 * time.Second):
				t.Fatal("the launch hangs")
			}
			if took := time.Since(killed); took > 10*time.Second {
				t.Errorf("the launch ended %v after its process", took)
			}
			var failed *StartError
			if !errors.As(err, &failed) || failed.Reason != step.reason || failed.Exit.Reason != StartFailed || failed.Exit.Breach != nil {
				t.Errorf("the launch ended with %#v, want %s", err, step.reason)
			}
			ended(t, in)
			for _, path := range []string{in.paths.Dir, in.paths.Socket, in.paths.Proxy, in.paths.Audit} {
				if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("%s is left: %v", path, err)
				}
			}
			if err := unix.Kill(in.PID(), 0); !errors.Is(err, unix.ESRCH) {
				t.Errorf("process %d is left: %v", in.PID(), err)
			}
		})
		// The gate is open again; the same app, with the same rights, starts.
		in := launchForTest(t, sup, free)
		if got := ask(t, in, "/"); got != "ok" {
			t.Errorf("after a death when %s: %q", step.name, got)
		}
		if in.Report().Level != launchLevel(t, sup, neighbour) {
			t.Errorf("after a death when %s it is held by less: %+v", step.name, in.Report())
		}
		in.Kill()
		ended(t, in)
		if before == 0 {
			before = handles()
		}
	}
	waitFor(t, "no more open files than after the first death", func() bool { return handles() <= before })
	if left, err := os.ReadDir(sup.options.SocketDir); err != nil || len(left) > 1 { // the neighbour's
		t.Errorf("left beside the neighbour: %v, %v", left, err)
	}
}

// launchLevel is how well the neighbour is held, which is started once and has to answer each time.
func launchLevel(t *testing.T, sup *Supervisor, neighbour Spec) string {
	t.Helper()
	sup.mu.Lock()
	in := sup.instances[neighbour.ID]
	sup.mu.Unlock()
	if in == nil {
		in = launchForTest(t, sup, neighbour)
	}
	if got := ask(t, in, "/"); got != "fine" {
		t.Errorf("the neighbour answers %q", got)
	}
	return in.Report().Level
}

// A new agent removes the sockets of one that was killed.
func TestStaleSocketsAreRemoved(t *testing.T) {
	o := optionsForTest(t)
	stale := filepath.Join(o.SocketDir, "app", "s")
	if err := os.MkdirAll(stale, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(stale, "app.sock"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(l.Close(), os.Symlink("/etc", filepath.Join(o.SocketDir, "link"))); err != nil {
		t.Fatal(err)
	}
	sup, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer func(c io.Closer) { _ = c.Close() }(sup)
	if left, err := os.ReadDir(o.SocketDir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if _, err := os.Stat("/etc/passwd"); err != nil {
		t.Errorf("a link was followed: %v", err)
	}
}
