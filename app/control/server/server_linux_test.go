package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/elastic/go-seccomp-bpf"
	"go.uber.org/goleak"

	"paddock/app"
	"paddock/app/bundle/pack"
	"paddock/app/control"
	"paddock/app/control/server"
	"paddock/app/gateway"
	"paddock/sandbox"
	"paddock/store"
)

const patience = 30 * time.Second

// asUser makes a re-executed test binary try the control socket and say what happened.
const (
	asUser   = "PADDOCK_TEST_DIAL"
	confined = "PADDOCK_TEST_CONFINED" // and do it behind a seccomp filter
)

func TestMain(m *testing.M) {
	if path := os.Getenv(asUser); path != "" {
		if os.Getenv(confined) != "" {
			if err := confine(); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
		}
		fmt.Print(tryGreet(path))
		return
	}
	goleak.VerifyTestMain(m)
}

// tryGreet says "answered" or why not.
func tryGreet(path string) string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := control.NewClient(path)
	defer c.Close()
	if _, err := control.Do[control.Greeting](ctx, c, control.MethodGreet, control.Greet{Protocol: control.Protocol}); err != nil {
		return err.Error()
	}
	return "answered"
}

// agent is all parts of an agent in this process. With its zero Deno no app can start; the tests here are
// about the socket, and the end-to-end tests start apps.
type agent struct {
	*control.Client
	t      *testing.T
	app    *app.App
	server *server.Server
	socket string
}

func newAgent(t *testing.T) *agent {
	t.Helper()
	dir, err := os.MkdirTemp("", "paddock")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	log := slog.New(slog.DiscardHandler)
	run, home := filepath.Join(dir, "run"), filepath.Join(dir, "home")
	if err := control.MakeRuntimeDir(run); err != nil {
		t.Fatal(err)
	}
	if err := app.PrepareHome(home); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(filepath.Join(home, "store.db"), store.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "no-such-program")
	box, err := sandbox.New(sandbox.Options{Deno: missing, Launcher: missing, SocketDir: filepath.Join(run, "i"), EntryDir: filepath.Join(home, "entry")})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(app.Options{Home: home, Store: db, Sandbox: box, Product: app.Product{Name: "Paddock", Version: "0.1.0"}, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	front, err := gateway.Listen(gateway.Options{Addr: "127.0.0.1:0", Backend: a, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	a.Attach(front)
	socket := filepath.Join(run, "control.sock")
	s, err := server.Listen(socket, a, log)
	if err != nil {
		t.Fatal(err)
	}
	c := control.NewClient(socket)
	t.Cleanup(func() {
		c.Close()
		for _, close := range []func() error{s.Close, front.Close, a.Close, box.Close, db.Close} {
			if err := close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
		if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is left: %v", err)
		}
	})
	return &agent{c, t, a, s, socket}
}

// bundle packs an app that asks for one host.
func (a *agent) bundle(id string) string {
	a.t.Helper()
	dir, out := a.t.TempDir(), filepath.Join(a.t.TempDir(), "content.zip")
	manifest := fmt.Sprintf(`{"manifest_version":1,"id":%q,"version":"1.0.0","version_code":1,"name":"Test","summary":"A test.","author":{"name":"T"},"license":"MIT",
		"icons":[{"src":"icon.svg","size":128}],"serve":{"mode":"server","entry":"main.js"},"resources":{"memory_mb":64,"cpu_percent":10,"disk_mb":16},
		"permissions":{"network":[{"host":"a.example","reason":"Why not.","required":true}]}}`, id)
	for name, text := range map[string]string{
		"paddock.json": manifest, "main.js": "export default { fetch() { return new Response() } };",
		"icon.svg": `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><rect width="1" height="1"/></svg>`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	if _, err := pack.Pack(context.Background(), dir, pack.Options{Out: out}); err != nil {
		a.t.Fatal(err)
	}
	return out
}

func (a *agent) stage(source string) control.Staged {
	a.t.Helper()
	var s control.Staged
	if err := a.Call(a.t.Context(), control.MethodStage, control.Stage{Source: source, Dev: true}, &s, nil); err != nil {
		a.t.Fatal(err)
	}
	return s
}

func (a *agent) install(id string) {
	a.t.Helper()
	s := a.stage(a.bundle(id))
	if _, err := control.Do[control.InstallResult](a.t.Context(), a.Client, control.MethodCommit, control.Commit{Stage: s.Stage}); err != nil {
		a.t.Fatal(err)
	}
}

// refused insists on an error with a code and an exit code.
func refused(t *testing.T, err error, code string, exit int) {
	t.Helper()
	var e *control.Error
	if !errors.As(err, &e) || e.Code != code || e.Exit != exit {
		t.Fatalf("%v, want code %s and exit %d", err, code, exit)
	}
}

func TestGreeting(t *testing.T) {
	a := newAgent(t)
	g, err := control.Do[control.Greeting](t.Context(), a.Client, control.MethodGreet, control.Greet{Protocol: control.Protocol, Client: "test"})
	if err != nil || g.Name != "Paddock" || g.PID != os.Getpid() || !strings.HasPrefix(g.Gateway, "127.0.0.1:") {
		t.Fatalf("%+v %v", g, err)
	}
	_, err = control.Do[control.Greeting](t.Context(), a.Client, control.MethodGreet, control.Greet{Protocol: control.Protocol + 1})
	refused(t, err, "protocol", control.ExitUnreachable)
}

func TestInstallThenDecide(t *testing.T) {
	a := newAgent(t)
	s := a.stage(a.bundle("org.example.one"))
	if s.ID != "org.example.one.dev" || s.Publisher.Trust != "unsigned" || len(s.Requests) != 1 || s.Requests[0].Decision != "ask" || len(s.Wider) != 1 {
		t.Fatalf("%+v", s)
	}
	if l, err := a.app.List(); err != nil || len(l) != 0 {
		t.Fatalf("staging installed something: %+v %v", l, err)
	}
	_, err := control.Do[control.InstallResult](t.Context(), a.Client, control.MethodCommit, control.Commit{Stage: s.Stage, Grant: []string{"net:b.example"}})
	refused(t, err, "not_requested", control.ExitRefused)
	if l, err := a.app.List(); err != nil || len(l) != 0 {
		t.Fatalf("a refused install left something: %+v %v", l, err)
	}
	a.install("org.example.one")
	rows := func() control.PermissionRow {
		t.Helper()
		all, err := control.Do[[]control.PermissionRow](t.Context(), a.Client, control.MethodPermissions, control.AppRef{App: "one-dev"})
		if err != nil || len(all) != 1 {
			t.Fatalf("%+v %v", all, err)
		}
		return all[0]
	}
	decide := func(d control.Decide) error {
		d.App = "org.example.one.dev"
		_, err := control.Do[control.Empty](t.Context(), a.Client, control.MethodDecide, d)
		return err
	}
	for _, step := range []struct {
		d    control.Decide
		want string
	}{
		{control.Decide{Permission: "net:a.example", Decision: "allow"}, "allow always"},
		{control.Decide{Permission: "net:A.EXAMPLE:443", Decision: "deny"}, "deny always"},
		{control.Decide{Permission: "net:a.example", Decision: "ask"}, "ask always"},
		{control.Decide{Permission: "net:a.example", Decision: "allow", Session: true}, "allow session"},
		{control.Decide{Permission: "net:a.example", Decision: "ask"}, "ask always"},
	} {
		if err := decide(step.d); err != nil {
			t.Fatalf("%+v: %v", step.d, err)
		}
		if r := rows(); r.Decision+" "+r.Lifetime != step.want {
			t.Errorf("%+v: %s %s, want %s", step.d, r.Decision, r.Lifetime, step.want)
		}
	}
	refused(t, decide(control.Decide{Permission: "net:b.example", Decision: "allow"}), "not_requested", control.ExitRefused)
	refused(t, decide(control.Decide{Permission: "run:sh", Decision: "allow"}), "never_grantable", control.ExitRefused)
	refused(t, decide(control.Decide{Permission: "net:a.example", Decision: "perhaps"}), "bad_request", control.ExitUsage)
	refused(t, decide(control.Decide{Permission: "net:a.example", Decision: "allow", Path: "/tmp"}), "path_not_wanted", control.ExitUsage)
}

func TestRequiredRowStopsTheLaunch(t *testing.T) {
	a := newAgent(t)
	a.install("org.example.two")
	open := func(in control.Open) error {
		in.App = "two-dev"
		_, err := control.Do[control.OpenResult](t.Context(), a.Client, control.MethodOpen, in)
		return err
	}
	err := open(control.Open{})
	refused(t, err, "permission_required", control.ExitRefused)
	var e *control.Error
	if errors.As(err, &e); !strings.Contains(string(e.Detail), "net:a.example") {
		t.Errorf("the refusal does not name the row: %s", e.Detail)
	}
	if l, _ := a.app.List(); l[0].State != control.StateNeedsPermission {
		t.Errorf("state %s", l[0].State)
	}
	// Insisted on, it goes as far as the runtime, which this agent lacks.
	refused(t, open(control.Open{Insist: true}), "runtime_missing", control.ExitNotStarted)
	runs, err := control.Do[[]control.Run](t.Context(), a.Client, control.MethodHistory, control.AppRef{App: "two-dev"})
	if err != nil || len(runs) != 1 || runs[0].Reason != "start_failed" || runs[0].EndedAt == nil {
		t.Errorf("history: %+v %v", runs, err)
	}
}

func TestWatchSendsThePresentAndEachChange(t *testing.T) {
	a := newAgent(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	seen := errors.New("seen")
	states := 0
	installed := make(chan struct{})
	go func() {
		defer close(installed)
		a.install("org.example.three")
	}()
	err := control.Events(ctx, a.Client, control.MethodWatch, nil, nil, func(s control.State) error {
		states++
		if len(s.Apps) == 1 && len(s.Notices) == 1 && s.Notices[0].Code == "installed" {
			return seen
		}
		return nil
	})
	<-installed
	if !errors.Is(err, seen) || states < 1 {
		t.Fatalf("after %d states: %v", states, err)
	}
}

func TestUninstallAndUndo(t *testing.T) {
	a := newAgent(t)
	a.install("org.example.four")
	uninstall := func(in control.Uninstall) error {
		in.App = "four-dev"
		_, err := control.Do[control.Empty](t.Context(), a.Client, control.MethodUninstall, in)
		return err
	}
	refused(t, uninstall(control.Uninstall{KeepData: true, Purge: true}), "bad_request", control.ExitUsage)
	if err := uninstall(control.Uninstall{}); err != nil {
		t.Fatal(err)
	}
	refused(t, uninstall(control.Uninstall{}), "no_such_app", control.ExitNoApp)
	if err := uninstall(control.Uninstall{Undo: true}); err != nil {
		t.Fatal(err)
	}
	if l, _ := a.app.List(); len(l) != 1 {
		t.Fatalf("after the undo: %+v", l)
	}
	refused(t, uninstall(control.Uninstall{Undo: true}), "no_such_app", control.ExitNoApp)
	if err := uninstall(control.Uninstall{Purge: true}); err != nil {
		t.Fatal(err)
	}
	refused(t, uninstall(control.Uninstall{Undo: true}), "no_such_app", control.ExitNoApp)
}

// TestStrangeRequests: what is not this protocol gets an answer or an end, and the next client is served.
func TestStrangeRequests(t *testing.T) {
	a := newAgent(t)
	hc := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", a.socket)
	}}}
	post := func(path, body string) (int, string) {
		t.Helper()
		resp, err := hc.Post("http://paddock"+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(raw)
	}
	for name, c := range map[string]struct{ path, body, want string }{
		"no JSON":    {"/v1/list", "hello", "bad_request"},
		"wrong type": {"/v1/open", `{"app":5}`, "bad_request"},
		"no body":    {"/v1/list", "", "bad_request"},
		"too long":   {"/v1/open", `{"app":"` + strings.Repeat("x", 2<<20) + `"}`, "bad_request"},
		"no app":     {"/v1/open", `{"app":"nothing"}`, "no_such_app"},
		"odd name":   {"/v1/info", `{"app":"../../etc/passwd"}`, "no_such_app"},
		"no prompt":  {"/v1/answer", `{"prompt":"x","rows":[]}`, "prompt_gone"},
		"no notice":  {"/v1/notice", `{"id":"x","action":"raise"}`, "notice_gone"},
		"no stage":   {"/v1/commit", `{"stage":"x"}`, "stage_gone"},
		"no display": {"/v1/show", `{"window":"library"}`, "no_window"},
	} {
		_, body := post(c.path, c.body)
		var doc struct {
			Error struct{ Code, Message string }
		}
		if err := json.Unmarshal([]byte(body), &doc); err != nil || doc.Error.Code != c.want || doc.Error.Message == "" {
			t.Errorf("%s: %s (%v), want code %s", name, body, err, c.want)
		}
	}
	if code, _ := post("/v1/no-such-method", "{}"); code != http.StatusNotFound {
		t.Errorf("an unknown method answers %d", code)
	}
	if got := tryGreet(a.socket); got != "answered" {
		t.Errorf("after all that: %s", got)
	}
}

// TestPeers: another user, and a process confined more than the agent, are not served (security.md, rule 2).
func TestPeers(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("not root: only the same user's connection can be tried here; CI runs as root")
	}
	a := newAgent(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	try := func(name string, change func(*exec.Cmd)) string {
		t.Helper()
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), asUser+"="+a.socket)
		change(cmd)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return string(out)
	}
	if got := try("same user", func(*exec.Cmd) {}); got != "answered" {
		t.Fatalf("a program of the same user: %s", got)
	}
	if os.Getuid() != 0 {
		return
	}
	// As root the folder's mode stops nobody we make here, so open it: what is tried is the check itself.
	for p := filepath.Dir(a.socket); p != os.TempDir(); p = filepath.Dir(p) {
		if err := os.Chmod(p, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(a.socket, 0o666); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(os.TempDir(), fmt.Sprintf("paddock-test-%d", os.Getpid()))
	raw, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, raw, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(copied) })
	got := try("another user", func(c *exec.Cmd) {
		c.Path, c.Dir = copied, "/"
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1500, Gid: 1500}}
	})
	if got == "answered" || !strings.Contains(got, control.ErrUnreachable.Error()) {
		t.Fatalf("another user: %s", got)
	}
}

// TestConfinedPeer: a process with a seccomp filter that the agent does not have could be an app.
func TestConfinedPeer(t *testing.T) {
	a := newAgent(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), asUser+"="+a.socket, confined+"=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := string(out); got == "answered" || !strings.Contains(got, control.ErrUnreachable.Error()) {
		t.Fatalf("a confined process: %s", got)
	}
}

// confine gives this process a filter that refuses one call that nothing here makes.
func confine() error {
	return seccomp.LoadFilter(seccomp.Filter{NoNewPrivs: true, Flag: seccomp.FilterFlagTSync, Policy: seccomp.Policy{
		DefaultAction: seccomp.ActionAllow,
		Syscalls:      []seccomp.SyscallGroup{{Action: seccomp.ActionErrno, Names: []string{"ptrace"}}},
	}})
}
