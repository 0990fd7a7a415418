package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// deadline bounds everything that a test waits for. It is long because the machine may be busy; no test
// waits for it to pass.
const deadline = 60 * time.Second

// bin is the folder of the built programs.
func bin(t testing.TB) string {
	t.Helper()
	if d := os.Getenv("PADDOCK_BIN"); d != "" {
		return d
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			b := filepath.Join(dir, "bin")
			if _, err := os.Stat(filepath.Join(b, "paddock")); err != nil {
				t.Fatalf("%v: run “make build” first", err)
			}
			return b
		}
	}
	t.Fatal("no go.mod above the working folder")
	return ""
}

// machine is one person's Paddock: a home of its own, and an environment that leads nowhere else.
type machine struct {
	t    testing.TB
	home string
	env  []string
	bin  string // folder of the programs
}

func newMachine(t testing.TB) *machine {
	t.Helper()
	root := t.TempDir()
	run := filepath.Join(root, "run")
	person := filepath.Join(root, "person")
	for _, d := range []string{run, person} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	m := &machine{t: t, home: filepath.Join(root, "paddock"), bin: bin(t)}
	m.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + person, "XDG_RUNTIME_DIR=" + run, "TMPDIR=" + os.TempDir(),
		"PADDOCK_HOME=" + m.home, "LANG=C.UTF-8", "NO_COLOR=1",
	}
	return m
}

// agent is a running `paddock agent`.
type agent struct {
	*machine
	cmd     *exec.Cmd
	pid     int
	gateway string
	log     *lockedBuffer
	done    chan struct{}
}

// lockedBuffer is written by a process and read by the test.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs an agent in the foreground until the test ends.
func (m *machine) start(args ...string) *agent {
	m.t.Helper()
	return m.startAt("127.0.0.1:0", args...)
}

// startAt is start with the front door at an address.
func (m *machine) startAt(listen string, args ...string) *agent {
	m.t.Helper()
	cmd := exec.Command(filepath.Join(m.bin, "paddock"), append([]string{"agent", "--listen", listen}, args...)...)
	cmd.Env = m.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	a := &agent{machine: m, cmd: cmd, log: &lockedBuffer{}, done: make(chan struct{})}
	cmd.Stderr = a.log
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { a.end(syscall.SIGTERM) })
	lines := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadString('\n')
		lines <- line
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
		close(a.done)
	}()
	var ready struct {
		Ready   bool   `json:"ready"`
		PID     int    `json:"pid"`
		Gateway string `json:"gateway"`
	}
	select {
	case line := <-lines:
		if err := json.Unmarshal([]byte(line), &ready); err != nil || !ready.Ready {
			m.t.Fatalf("the agent's first line is %q (%v)\n%s", line, err, a.log)
		}
	case <-time.After(deadline):
		m.t.Fatalf("the agent is not ready\n%s", a.log)
	}
	a.pid, a.gateway = ready.PID, ready.Gateway
	return a
}

// end sends a signal and waits for the agent's end.
func (a *agent) end(sig syscall.Signal) {
	a.t.Helper()
	select {
	case <-a.done:
		return
	default:
	}
	if err := a.cmd.Process.Signal(sig); err != nil {
		a.t.Logf("signal the agent: %v", err)
	}
	select {
	case <-a.done:
	case <-time.After(deadline):
		_ = a.cmd.Process.Kill()
		a.t.Errorf("the agent did not end on %v\n%s", sig, a.log)
	}
}

// result is what a command gave.
type result struct {
	code   int
	stdout []byte
	stderr string
}

// run runs a command as a person would type it.
func (m *machine) run(args ...string) result {
	m.t.Helper()
	return m.runIn("", args...)
}

func (m *machine) runIn(dir string, args ...string) result {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(m.bin, "paddock"), args...)
	cmd.Env, cmd.Dir = m.env, dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if ctx.Err() != nil {
		m.t.Fatalf("paddock %s hangs\n%s", strings.Join(args, " "), errs.String())
	}
	if err != nil && cmd.ProcessState == nil {
		m.t.Fatal(err)
	}
	return result{code: cmd.ProcessState.ExitCode(), stdout: out.Bytes(), stderr: errs.String()}
}

// must runs a command with --json, insists on exit code 0 and decodes its document.
func must[T any](m *machine, args ...string) T {
	m.t.Helper()
	return mustIn[T](m, "", args...)
}

func mustIn[T any](m *machine, dir string, args ...string) T {
	m.t.Helper()
	r := m.runIn(dir, append([]string{"--json"}, args...)...)
	if r.code != 0 {
		m.t.Fatalf("paddock %s: exit %d\n%s%s", strings.Join(args, " "), r.code, r.stdout, r.stderr)
	}
	return decode[T](m.t, r.stdout)
}

func decode[T any](t testing.TB, raw []byte) T {
	t.Helper()
	var v T
	d := json.NewDecoder(bytes.NewReader(raw))
	if err := d.Decode(&v); err != nil {
		t.Fatalf("not the expected JSON: %v\n%s", err, raw)
	}
	if d.More() {
		t.Fatalf("more than one document:\n%s", raw)
	}
	return v
}

// refusal is the document of a command that said no.
type refusal struct {
	Error struct {
		Code    string          `json:"code"`
		Message string          `json:"message"`
		Hint    string          `json:"hint"`
		Detail  json.RawMessage `json:"detail"`
	} `json:"error"`
}

// refused runs a command with --json and insists that it fails with that exit code and a clear sentence.
func (m *machine) refused(code int, args ...string) refusal {
	m.t.Helper()
	r := m.run(append([]string{"--json"}, args...)...)
	if r.code != code {
		m.t.Fatalf("paddock %s: exit %d, want %d\n%s%s", strings.Join(args, " "), r.code, code, r.stdout, r.stderr)
	}
	doc := decode[refusal](m.t, r.stdout)
	if doc.Error.Code == "" || doc.Error.Message == "" {
		m.t.Fatalf("paddock %s: no code or no sentence in %s", strings.Join(args, " "), r.stdout)
	}
	return doc
}

// eventually waits for a condition without sleeping blindly: it asks again every 20 ms.
func eventually(t testing.TB, what string, within time.Duration, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.After(within)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			if !ok() { // a busy machine may have kept this test from looking
				t.Fatalf("not within %v: %s", within, what)
			}
			return
		}
	}
}

// alive reports whether a process exists and is no zombie.
func alive(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, ok := bytes.Cut(raw, []byte(") "))
	return ok && len(after) > 0 && after[0] != 'Z'
}
