package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"paddock/app/e2e/browser"
)

// asker asks for a host and, when told to, eats memory.
func asker() source {
	s := feeds("feeds.example")
	s.id = "org.example.asker"
	s.manifest["name"] = "Asker"
	s.manifest["permissions"] = map[string]any{"network": []any{
		map[string]any{"host": "feeds.example", "port": 80, "reason": "Fetch the feed."},
		map[string]any{"host": "ads.example", "port": 80, "reason": "Show something nice."},
	}}
	s.main = strings.Replace(s.main, `if (u.pathname === "/pid")`, `if (u.pathname === "/eat") { const keep: Uint8Array[] = []; for (;;) { keep.push(new Uint8Array(4 << 20).fill(1)); await 0; } }
			if (u.pathname === "/pid")`, 1)
	return s
}

// TestDesktopStory is the story of product.md with a real window, driven by the keyboard alone, and a real
// browser: install over HTTP, answer the prompt, use the app, be refused, revoke, be killed, uninstall.
func TestDesktopStory(t *testing.T) {
	t.Parallel()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		fmt.Fprintf(w, "a feed for %s", r.Host)
	}))
	t.Cleanup(site.Close)
	siteAddr := strings.TrimPrefix(site.URL, "http://")

	d := newDesk(t)
	tray := d.panel()
	m := newMachine(t)
	d.on(m)
	urls := serveFiles(t, m.pack(asker(), m.key()))
	a := m.start("--resolve", "feeds.example:80="+siteAddr, "--resolve", "ads.example:80="+siteAddr)
	select {
	case <-tray:
	case <-time.After(deadline):
		t.Fatalf("no tray icon appears\n%s", a.log)
	}

	must[okayInstall](m, "install", urls["org.example.asker.paddock"])

	// Closing the question grants nothing and stores nothing.
	first := m.background("open", "asker", "--no-browser")
	d.window("Asker")
	d.key("Escape")
	if r := first(); r.code != 3 {
		t.Fatalf("open after closing the question: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	for _, p := range must[[]answer](m, "permissions", "asker") {
		if p.Decision != "ask" {
			t.Fatalf("closing the question answered %+v", p)
		}
	}

	// Answered by keyboard: the first row on, the second off.
	second := m.background("open", "asker", "--no-browser")
	d.window("Asker")
	d.shot("prompt")
	answerPrompt(d)
	r := second()
	if r.code != 0 {
		t.Fatalf("open: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	decisions := map[string]string{}
	for _, p := range must[[]answer](m, "permissions", "asker") {
		decisions[p.Permission] = p.Decision
	}
	if decisions["net:feeds.example:80"] != "allow" || decisions["net:ads.example:80"] != "deny" {
		t.Fatalf("answers: %v", decisions)
	}

	// In the browser: the page loads, the granted host answers the process, the refused one does not,
	// and neither does the page reach what was not granted.
	o := must[opened](m, "open", "asker", "--no-browser")
	tab := browser.Start(t, browser.Chromium, browser.Options{}).Open(t, o.URL)
	page := func() *browser.Page { return tab.Frame(o.Origin + "/") }
	page().Until("the app's page", `document.querySelector("h1")?.textContent === "Hello"`)
	inApp := func(u string) string {
		return page().Try(`fetch("/get?u=` + u + `").then(r => r.text())`)
	}
	if got := inApp("http://feeds.example/"); got != "200 a feed for feeds.example" {
		t.Fatalf("the granted host: %s", got)
	}
	if got := inApp("http://ads.example/"); !strings.HasPrefix(got, "failed: NotCapable") {
		t.Fatalf("the refused host: %s", got)
	}
	if got := page().Try(`fetch("` + site.URL + `/").then(r => "reached")`); got != "refused: TypeError" {
		t.Fatalf("the page reaches a host on its own: %s", got)
	}

	// Revoked while the page is open.
	must[okay](m, "revoke", "asker", "net:feeds.example:80")
	after := ""
	eventually(t, "the revoke holds in the open tab", deadline, func() bool { // which loads its page again
		after = inApp("http://feeds.example/")
		return !strings.HasPrefix(after, "gone: ")
	})
	if !strings.HasPrefix(after, "failed: NotCapable") {
		t.Fatalf("after the revoke: %s", after)
	}

	// Killed at its budget: history has the number, the library says it, the page offers what can be done.
	goTo := func(path string) {
		t.Helper()
		if err := tab.Navigate(o.Origin + path); err != nil {
			t.Fatal(err)
		}
	}
	goTo("/eat")
	run := lastRun(m, "asker")
	for run.Reason == "stopped" { // the restart of the revoke is in the history too
		run = lastRun(m, "asker")
	}
	if run.Reason != "over_budget" || run.Breach == nil || run.Breach.Budget != "memory" {
		t.Fatalf("history: %+v", run)
	}
	goTo("/")
	page().Until("the host's page says why", `document.body.innerText.includes("memory")`)
	lib := m.background()
	d.window("Paddock")
	d.shot("library")
	if r := lib(); r.code != 0 {
		t.Fatalf("paddock with no arguments: exit %d\n%s", r.code, r.stderr)
	}

	must[okay](m, "uninstall", "asker", "--purge")
	goTo("/")
	if got := browser.Eval[string](tab, `document.body.innerText`); !strings.Contains(got, "removed") {
		t.Fatal("the page is still served after the uninstall")
	}
}

// answerPrompt turns the second row off and allows the rest, with the keyboard alone.
func answerPrompt(d *desk) {
	d.t.Helper()
	// First row: switch, lifetime. Second row: switch, which hides its lifetime when off. Then the limits, the
	// technical details, “Don't allow anything”, “Allow selected”.
	d.key("Tab", "Tab", "Tab", "space", "Tab", "Tab", "Tab", "Tab")
	d.shot("prompt-answered")
	// The buttons do nothing during the first half second, so that nobody answers by accident.
	eventually(d.t, "the prompt closes on “Allow selected”", deadline, func() bool {
		if _, err := d.xdo("search", "--onlyvisible", "--name", "Asker"); err != nil {
			return true
		}
		_, _ = d.xdo("key", "space")
		return false
	})
}

// background runs a command while the test goes on; the returned function waits for it.
func (m *machine) background(args ...string) func() result {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*deadline)
	cmd := exec.CommandContext(ctx, filepath.Join(m.bin, "paddock"), args...)
	cmd.Env = m.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	m.t.Cleanup(func() { cancel(); <-done })
	return func() result {
		m.t.Helper()
		<-done
		if ctx.Err() != nil {
			m.t.Fatalf("paddock %s hangs\n%s", strings.Join(args, " "), errs.String())
		}
		return result{code: cmd.ProcessState.ExitCode(), stdout: out.Bytes(), stderr: errs.String()}
	}
}

// TestNoTray: on a desktop without a place for tray icons the library opens and says why.
func TestNoTray(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	m := newMachine(t)
	d.on(m)
	a := m.start()
	d.window("Paddock")
	type doctor struct {
		Tray struct{ State, Why string }
	}
	eventually(t, "doctor says why there is no tray", deadline, func() bool {
		doc := must[doctor](m, "doctor")
		return doc.Tray.State == "absent" && strings.Contains(doc.Tray.Why, "tray")
	})
	// A panel that appears later gets its icon.
	tray := d.panel()
	select {
	case <-tray:
	case <-time.After(deadline):
		t.Fatalf("no icon for the panel that came later\n%s", a.log)
	}
}

// TestDisplayDies: the X server takes tray and windows along, and nothing else.
func TestDisplayDies(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	tray := d.panel()
	m := newMachine(t)
	d.on(m)
	bundle := m.pack(feeds("feeds.example"), m.key())
	a := m.start()
	<-tray
	must[okayInstall](m, "install", bundle, "--deny-all")
	o := must[opened](m, "open", "reader")
	v := visit(t, a.gateway, o)
	v.expect("/", "Hello")
	if err := d.server.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	type doctor struct {
		Tray struct{ State, Why string }
	}
	eventually(t, "the tray is gone", deadline, func() bool { return must[doctor](m, "doctor").Tray.State != "running" })
	v.expect("/pid", fmt.Sprint(o.PID)) // the same process, still served

	// A new display: the tray comes back there, brought by a command.
	d2 := newDesk(t)
	tray2 := d2.panel()
	d2.on(m)
	r := m.background()()
	if r.code != 0 {
		t.Fatalf("paddock on the new display: exit %d\n%s", r.code, r.stderr)
	}
	select {
	case <-tray2:
	case <-time.After(deadline):
		t.Fatalf("no tray on the new display\n%s", a.log)
	}
	v.expect("/pid", fmt.Sprint(o.PID))
}

// TestTrayComesBack: a tray that dies is started again, and no app notices.
func TestTrayComesBack(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	tray := d.panel()
	m := newMachine(t)
	d.on(m)
	a := m.start()
	for range 2 {
		select {
		case <-tray:
		case <-time.After(deadline):
			t.Fatalf("no tray icon\n%s", a.log)
		}
		for _, pid := range childrenOf(t, a.pid, "paddock-tray") {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// childrenOf are the child processes of pid with that name.
func childrenOf(t *testing.T, pid int, name string) []int {
	t.Helper()
	var out []int
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		raw, err := os.ReadFile(task)
		if err != nil {
			continue // a thread that ended meanwhile
		}
		for _, f := range strings.Fields(string(raw)) {
			comm, err := os.ReadFile("/proc/" + f + "/comm")
			if err != nil || strings.TrimSpace(string(comm)) != name {
				continue
			}
			n, err := strconv.Atoi(f)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, n)
		}
	}
	if len(out) == 0 {
		t.Fatalf("process %d has no child %s", pid, name)
	}
	return out
}
