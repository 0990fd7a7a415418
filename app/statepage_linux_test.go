package app_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"paddock/app"
	"paddock/app/control"
)

// moody does what its path says.
const moody = `if (localStorage.getItem("was") === "bad") throw new Error("bad");
export default { async fetch(r) {
	const to = new URL(r.url).pathname.slice(1);
	if (to === "bad") localStorage.setItem("was", to);
	if (to === "eat") { const keep = []; for (;;) { keep.push(new Uint8Array(4 << 20).fill(1)); await 0; } }
	if (to !== "") { setTimeout(() => Deno.exit(9), 0); await new Promise(() => {}); }
	return new Response("page");
} };`

// TestPagesOfRealStates brings a real app into its states, looks at the page of each, and presses its first button.
func TestPagesOfRealStates(t *testing.T) {
	l := newLive(t, nil, func(o *app.Options) { o.Desktop = control.Desktop{} })
	needs := `{"network":[{"host":"a.example","port":80,"reason":"A.","required":true}]}`
	l.install(write(t, "org.example.moody", 1, needs, moody))
	ref := control.AppRef{App: "moody-dev"}
	decide := func(decision string) {
		t.Helper()
		if err := l.Decide(t.Context(), control.Decide{App: ref.App, Permission: "net:a.example:80", Decision: decision}); err != nil {
			t.Fatal(err)
		}
	}
	decide("allow")
	c, origin := l.enter(control.Open{App: ref.App})
	get := func(path string) (int, string) { return load(c, origin+path) }
	expect := func(what, path string, status int, words ...string) {
		t.Helper()
		code, body := get(path)
		if code != status {
			t.Errorf("%s: %d %s", what, code, body)
		}
		for _, w := range words {
			if !strings.Contains(body, w) {
				t.Errorf("%s: %q is not in %s", what, w, body)
			}
		}
	}
	press := func(action string) (int, string) {
		t.Helper()
		resp, err := c.PostForm(origin+"/.paddock/act", url.Values{"action": {action}})
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode, resp.Request.URL.Path
	}
	state := func(want string) {
		t.Helper()
		l.wait("the app is "+want, func() bool { return l.State().Apps[0].State == want })
	}

	decide("ask")
	state(control.StateNeedsPermission)
	expect("needs an answer", "/", http.StatusForbidden, "Test needs your answer", "cannot start without net:a.example:80", "Review permissions")
	decide("allow")
	expect("answered", "/", http.StatusOK, "page")

	get("/eat")
	state(control.StateOverBudget)
	expect("over its memory", "/", http.StatusServiceUnavailable, "Test was stopped", "96 MiB", `value="restart"`, "Change its limits")
	if code, body := press("ask_window"); code != http.StatusServiceUnavailable {
		t.Errorf("a window without a display: %d %s", code, body)
	}
	if code, path := press("restart"); code != http.StatusOK || path != "/" {
		t.Errorf("after “Start it again”: %d at %s", code, path)
	}
	state(control.StateRunning)

	for range 3 { // the third death within a minute is one too many
		get("/die")
		l.wait("it ended", func() bool { return l.State().Apps[0].State != control.StateRunning })
	}
	expect("it keeps ending", "/", http.StatusServiceUnavailable, "Test keeps ending", "exit code 9", "Paddock tries again in")
	resp, err := c.Get(origin + "/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.Header.Get("Retry-After") == "" {
		t.Error("it does not say when to ask again")
	}
	if code, path := press("restart"); code != http.StatusOK || path != "/" { // a person may, at once
		t.Errorf("after “Start it again”: %d at %s", code, path)
	}

	get("/bad")
	l.wait("it ended", func() bool { return l.State().Apps[0].State != control.StateRunning })
	expect("it does not start", "/", http.StatusServiceUnavailable, "Test did not start", "ended while starting", `value="start"`, "Show its log")

	if err := l.Stop(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	state(control.StateStopped)
	expect("stopped by its user", "/", http.StatusUnauthorized, "Open Test from Paddock")
}
