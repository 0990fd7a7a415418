package packaging

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// rehearsal runs run.sh with stand-ins for Paddock and the example server: what `make run` does in which
// order, and that nothing of it is left. The end-to-end tests run the real programs.
type rehearsal struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  string
	out  *bufio.Scanner // standard output and error together
	said []string
}

const standInPaddock = `#!/bin/bash
echo "paddock $*" >>LOG
case "$*" in
agent*)
	trap 'echo "agent ended" >>LOG; exit 0' TERM
	[ -z "$AGENT_FAILS" ] || { echo "port taken" >&2; exit 5; }
	echo '{"ready":true,"pid":1,"gateway":"127.0.0.1:1"}'
	while :; do read -r -t 1 <> <(:); done ;;
*list*) echo "$INSTALLED" ;;
*open*--no-browser*) echo '{"id":"org.paddock.notes","url":"http://notes.localhost:1/.paddock/open?t=once"}' ;;
esac
`

const standInServer = `#!/bin/bash
echo "server" >>LOG
trap 'echo "server ended" >>LOG; exit 0' TERM
echo '{"ready":true,"url":"http://127.0.0.1:9/","apps":{"feeds":"http://127.0.0.1:9/feeds.paddock","notes":"http://127.0.0.1:9/notes.paddock"}}'
while read -r; do :; done
echo "server ended" >>LOG
`

func rehearse(t *testing.T, env ...string) *rehearsal {
	t.Helper()
	dir := t.TempDir()
	r := &rehearsal{t: t, log: filepath.Join(dir, "log")}
	for name, text := range map[string]string{
		"packaging/run.sh":          string(read(t, "run.sh")),
		"bin/paddock":               standInPaddock,
		".cache/bin/serve-examples": standInServer,
		"log":                       "",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "LOG", r.log)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	r.cmd = exec.CommandContext(ctx, "bash", filepath.Join(dir, "packaging", "run.sh"))
	r.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir()}, env...)
	// A group of its own, so that the signal of a terminal reaches all of it, as Ctrl-C does.
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := r.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.cmd.Stdout = r.cmd.Stderr
	r.out = bufio.NewScanner(pipe)
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL) // nothing is left when the test went well
	})
	return r
}

// until reads what the script says up to a line that holds text.
func (r *rehearsal) until(text string) {
	r.t.Helper()
	for r.out.Scan() {
		r.said = append(r.said, r.out.Text())
		if strings.Contains(r.out.Text(), text) {
			return
		}
	}
	r.t.Fatalf("it never said %q, but:\n%s", text, strings.Join(r.said, "\n"))
}

// end reads to the end of the output, which comes when every process that has it is gone, and returns
// the exit code.
func (r *rehearsal) end() int {
	r.t.Helper()
	for r.out.Scan() {
		r.said = append(r.said, r.out.Text())
	}
	err := r.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	return r.cmd.ProcessState.ExitCode()
}

func (r *rehearsal) calls() []string {
	r.t.Helper()
	return strings.Split(string(bytes.TrimSpace(read(r.t, r.log))), "\n")
}

func TestRunWithoutDisplay(t *testing.T) {
	r := rehearse(t)
	r.until("Ctrl-C ends")
	if !slices.ContainsFunc(r.said, func(s string) bool { return s == "http://notes.localhost:1/.paddock/open?t=once" }) {
		t.Errorf("the link is not on a line of its own:\n%s", strings.Join(r.said, "\n"))
	}
	for _, want := range []string{
		"paddock agent --headless", "paddock install http://127.0.0.1:9/notes.paddock", "paddock install http://127.0.0.1:9/feeds.paddock",
	} {
		if !slices.Contains(r.calls(), want) {
			t.Errorf("no call %q in %q", want, r.calls())
		}
	}
	if err := syscall.Kill(-r.cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := r.end(); code != 0 {
		t.Errorf("Ctrl-C: exit %d\n%s", code, strings.Join(r.said, "\n"))
	}
	for _, want := range []string{"agent ended", "server ended"} {
		if !slices.Contains(r.calls(), want) {
			t.Errorf("after Ctrl-C: no %q in %q", want, r.calls())
		}
	}
}

func TestRunInstallsOnce(t *testing.T) {
	r := rehearse(t, `INSTALLED=[{"id":"org.paddock.notes","short":"notes"},{"id":"org.paddock.feeds","short": "feeds"}]`, "DISPLAY=:99")
	r.until("Ctrl-C ends")
	calls := r.calls()
	for _, c := range calls {
		if strings.HasPrefix(c, "paddock install") {
			t.Errorf("installed again: %s", c)
		}
	}
	if !slices.Contains(calls, "paddock agent") {
		t.Errorf("with a display the agent is started headless: %q", calls)
	}
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := r.end(); code != 0 {
		t.Errorf("SIGTERM: exit %d", code)
	}
}

func TestRunWhenTheAgentCannotStart(t *testing.T) {
	r := rehearse(t, "AGENT_FAILS=1")
	if code := r.end(); code != 5 {
		t.Errorf("exit %d, want the agent's 5", code)
	}
	if said := strings.Join(r.said, "\n"); !strings.Contains(said, "port taken") || !strings.Contains(said, "paddock quit") {
		t.Errorf("no reason or no next step:\n%s", said)
	}
	if slices.Contains(r.calls(), "server") {
		t.Error("the example server was started all the same")
	}
}

// Killed, the script cannot clean up; the example server must still go when its input closes.
func TestRunKilled(t *testing.T) {
	r := rehearse(t)
	r.until("Ctrl-C ends")
	if err := r.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for !slices.Contains(r.calls(), "server ended") {
		if time.Now().After(deadline) {
			t.Fatalf("the example server outlived the script: %q", r.calls())
		}
		time.Sleep(10 * time.Millisecond)
	}
}
