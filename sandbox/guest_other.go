//go:build !linux

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"paddock/sandbox/wall"
)

// guest is one started program. On this system it stands behind Deno's own permissions only.
type guest struct {
	pid int
	cmd *exec.Cmd

	mu    sync.Mutex
	ended bool
}

// waiting is what a process will be started with: without a launcher there is nothing to start ahead.
type waiting struct{ stdout, stderr *os.File }

func startLauncher(_ string, _ bool, stdout, stderr *os.File) (*waiting, error) {
	return &waiting{stdout, stderr}, nil
}

func (w *waiting) become(plan wall.Plan) (*guest, error) {
	if plan.Require > wall.Basic {
		return nil, fmt.Errorf("there is no kernel wall on %s yet, and %q is required", runtime.GOOS, plan.Require)
	}
	e := plan.Exec
	cmd := &exec.Cmd{Path: e.Path, Args: e.Args, Env: e.Env, Dir: e.Dir, Stdout: w.stdout, Stderr: w.stderr}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start Deno: %w", err)
	}
	return &guest{pid: cmd.Process.Pid, cmd: cmd}, nil
}

func (w *waiting) alive() bool { return true }
func (w *waiting) discard()    {}

func (g *guest) confirm(time.Duration) (wall.Applied, error) {
	why := "not available on " + runtime.GOOS + " yet"
	return wall.Applied{LandlockWhy: why, SeccompWhy: why, ViewWhy: why}, nil
}

func (g *guest) wait() (code int, signal string) {
	_ = g.cmd.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = true
	return g.cmd.ProcessState.ExitCode(), ""
}

func (g *guest) kill() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended {
		return os.ErrProcessDone
	}
	return g.cmd.Process.Kill()
}

// terminate has no portable polite form.
func (g *guest) terminate() error { return g.kill() }

// redirects is about Linux's second wall.
func (g *guest) redirects() bool { return false }

func (g *guest) freeze() error { return errors.New("freezing is not available on " + runtime.GOOS) }
func (g *guest) thaw() error   { return nil }

func procStatus(int) (map[string]string, error) { return nil, errors.ErrUnsupported }
func privateBytes(int) (int64, error)           { return 0, errors.ErrUnsupported }
func dataLimitOf(int) (uint64, error)           { return 0, errors.ErrUnsupported }
func ownView(int) (bool, error)                 { return false, errors.ErrUnsupported }
func kernelRelease() string                     { return runtime.GOOS }
func identify(os.FileInfo) fileIdentity         { return fileIdentity{} }
