package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"paddock/app/e2e/browser"
)

// TestPages is what app/gateway's attack matrix leaves to the whole product: what an app's page is refused is on
// record, what it is granted works, nothing that it asks the host for changes anything, and it is gone for the
// browser when it is uninstalled. In both browsers, on one agent.
func TestPages(t *testing.T) {
	t.Parallel()
	const far = "far.test"
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		fmt.Fprint(w, "far away")
	}))
	t.Cleanup(func() { site.CloseClientConnections(); site.Close() })
	port := site.URL[strings.LastIndexByte(site.URL, ':')+1:]
	goal := "http://" + far + ":" + port + "/"
	permission := "net:" + far + ":" + port

	m := newMachine(t)
	key := m.key()
	a := m.start()
	for _, kind := range browser.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			m := m.with(t)
			id := "org.example.pages-" + string(kind)
			bundle := m.pack(source{
				id: id,
				manifest: map[string]any{"permissions": map[string]any{"network": []any{
					map[string]any{"host": far, "port": site.Listener.Addr().(*net.TCPAddr).Port, "reason": "Look far."},
				}}},
				main: `export default { fetch: () => new Response("<!doctype html><title>Pages</title><p id=p>Hello", { headers: { "content-type": "text/html" } }) };`,
			}, key)
			must[okayInstall](m, "install", bundle, "--deny-all")
			b := browser.Start(t, kind, browser.Options{Names: []string{far}})
			tab := b.Open(t, "")
			enter := func() (opened, *browser.Page) {
				t.Helper()
				o := must[opened](m, "open", id)
				if err := tab.Navigate(o.URL); err != nil {
					t.Fatal(err)
				}
				p := tab.At(o.Origin + "/")
				p.Until("the page is there", `document.querySelector("#p") !== null && document.readyState === "complete"`)
				return o, p
			}
			look := fmt.Sprintf(`(async () => (await fetch(%q)).text())()`, goal)

			o, page := enter()
			if got := page.Try(look); got != "refused: TypeError" {
				t.Errorf("without the grant: %s", got)
			}
			type row struct{ Permission, Outcome, Side string }
			eventually(t, "the refusal is on record", deadline, func() bool {
				for _, r := range must[[]row](m, "activity", id) {
					if r == (row{permission, "refused", "page"}) {
						return true
					}
				}
				return false
			})
			must[okay](m, "grant", id, permission)
			_, page = enter()
			if got := page.Try(look); got != "far away" {
				t.Errorf("with the grant: %s", got)
			}
			must[okay](m, "revoke", id, permission)
			_, page = enter()
			if got := page.Try(look); got != "refused: TypeError" {
				t.Errorf("after the revoke: %s", got)
			}

			// Nothing that the page can send the host changes anything.
			rights, budget := must[any](m, "permissions", id), must[any](m, "budget", id)
			page.Try(fmt.Sprintf(`Promise.allSettled(["act", "open", "grant", "permissions", "budget", "settings", "quit", "host", "control"].flatMap((path) =>
				["grant", "allow", "budget", "quit", "uninstall"].map((action) => fetch("/.paddock/" + path, {method: "POST",
					body: new URLSearchParams({action, permission: %q, memory: "4G"})}))))`, permission))
			if got := must[any](m, "budget", id); !reflect.DeepEqual(got, budget) {
				t.Errorf("budget %v, was %v", got, budget)
			}
			for i, was := range rights.([]any) {
				now := must[[]any](m, "permissions", id)[i].(map[string]any)
				for _, field := range []string{"permission", "decision", "lifetime"} {
					if now[field] != was.(map[string]any)[field] {
						t.Errorf("%s is %v, was %v", field, now[field], was)
					}
				}
			}

			must[okay](m, "uninstall", id)
			if err := tab.Navigate(o.Origin + "/"); err != nil {
				t.Log("cut short by the tab, which goes there by itself:", err)
			}
			tab.Until("the page says that the app was removed", "document.title.includes('removed')")
			if all := b.Cookies(t); len(all) > 0 {
				t.Errorf("cookies left: %+v", all)
			}
		})
	}

	t.Run("another user", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Log("not root, so nobody else can be acted: app/gateway compares owners")
			return
		}
		for _, uid := range []uint32{65534, 0} {
			addr := strings.Split(a.gateway, ":")
			cmd := exec.Command("bash", "-c", fmt.Sprintf(`exec 3<>/dev/tcp/%s/%s; printf 'GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' >&3; cat <&3`, addr[0], addr[1], a.gateway))
			cmd.Dir = "/"
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
			out, _ := cmd.CombinedOutput()
			if told := strings.Contains(string(out), "HTTP/1.1 421"); told != (uid == 0) {
				t.Errorf("user %d is told %q", uid, out)
			}
		}
	})
}
