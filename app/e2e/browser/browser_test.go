package browser

import (
	"bytes"
	"fmt"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestBrowsers uses everything of the interface in both browsers, on two sites that only have names: one below
// localhost, which both resolve by themselves (RFC 6761), and one that they are told about.
func TestBrowsers(t *testing.T) {
	var port string
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		switch r.URL.Path {
		case "/":
			http.SetCookie(w, &http.Cookie{Name: "own", Value: "1", HttpOnly: true, SameSite: http.SameSiteStrictMode})
			fmt.Fprintf(w, `<!doctype html><title>%s</title><button onclick="this.textContent = 'pressed ' + navigator.userActivation.isActive">press</button><script>console.log("loaded")</script>`, r.Host)
		case "/outer":
			fmt.Fprintf(w, `<!doctype html><title>outer</title><iframe src="http://inner.test:%s/"></iframe>`, port)
		case "/replaced":
			fmt.Fprint(w, `<!doctype html><script>location.replace("/")</script>`)
		case "/strict":
			w.Header().Set("Content-Security-Policy", "script-src 'self'")
			fmt.Fprint(w, `<!doctype html><title>strict</title>`)
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(func() { site.CloseClientConnections(); site.Close() })
	port = site.URL[strings.LastIndexByte(site.URL, ':')+1:]

	for _, kind := range Kinds {
		t.Run(string(kind), func(t *testing.T) {
			folder := ""
			t.Run("running", func(t *testing.T) {
				b := Start(t, kind, Options{Names: []string{"inner.test"}})
				folder = b.Folder
				use(t, b, port)
			})
			if _, err := os.Stat(folder); !os.IsNotExist(err) {
				t.Errorf("its folder is still there: %v", err)
			}
		})
	}
}

func use(t *testing.T, b *Browser, port string) {
	host := "a-b-c.localhost:" + port
	p := b.Open(t, "http://"+host+"/")
	if got := Eval[string](p, `document.title`); got != host {
		t.Errorf("title %q", got)
	}
	if got := Eval[map[string]int](p, `Promise.resolve({a: 1})`); got["a"] != 1 {
		t.Errorf("object %v", got)
	}
	if got := p.Try(`(() => { throw new TypeError("no") })()`); got != "refused: TypeError" {
		t.Errorf("thrown %q", got)
	}
	p.Click("button")
	p.Until("the button is pressed", `document.querySelector("button").textContent === "pressed true"`)
	if got := b.Cookies(t); !slices.ContainsFunc(got, func(c Cookie) bool { return c.Name == "own" && c.HTTPOnly && strings.EqualFold(c.SameSite, "strict") }) {
		t.Errorf("cookies %+v", got)
	}
	if got, err := png.DecodeConfig(bytes.NewReader(p.Screenshot())); err != nil || got.Width < 600 {
		t.Errorf("screenshot %v %v", got, err)
	}
	if !slices.Contains(b.Console(), "loaded") {
		t.Errorf("console %q", b.Console())
	}

	if err := p.Navigate("http://" + host + "/outer"); err != nil {
		t.Fatal(err)
	}
	inner := p.Frame("http://inner.test:" + port + "/")
	if got := Eval[string](inner, `document.title`); got != "inner.test:"+port {
		t.Errorf("title of the frame %q", got)
	}
	p.Back(1)
	p.Until("back", `location.pathname === "/" && document.title !== ""`)
	if err := p.Navigate("http://" + host + "/replaced"); err != nil {
		t.Error(err)
	}
	p.Until("replaced", `location.pathname === "/" && document.title !== ""`)
	// A page that is leaving by itself while it is told to go elsewhere, which it then is.
	for i := range 6 {
		away := fmt.Sprintf("http://inner.test:%s/?%d", port, i)
		if got := p.Try(fmt.Sprintf(`((async () => { await 0; location.href = %q })(), 1)`, away)); got != "1" && !strings.HasPrefix(got, "gone: ") {
			t.Errorf("leaving: %s", got)
		}
		eventually(t, "the page leaves", func() bool {
			return slices.ContainsFunc(b.Requests(), func(r Request) bool { return r.URL == away })
		})
		if err := p.Navigate("http://" + host + "/"); err != nil {
			t.Fatal(err)
		}
		if got := p.URL(); got != "http://"+host+"/" {
			t.Errorf("round %d: at %s", i, got)
		}
	}
	if err := p.Navigate("http://" + host + "/none"); err == nil {
		t.Error("a page without content is a page")
	}
	if err := p.Navigate("http://a.localhost:1/"); err == nil {
		t.Error("a closed port is a page")
	}

	// What the policy refuses a page, it refuses a test of it too.
	if err := p.Navigate("http://" + host + "/strict"); err != nil {
		t.Fatal(err)
	}
	if got := p.Try(`new Function("return 1")()`); got != "refused: EvalError" {
		t.Errorf("eval %q", got)
	}
	if got := Act[bool](p, `window.open("/", "_blank") !== null`); !got {
		t.Error("no window")
	}
	p.Until("the window is there", `true`)
	eventually(t, "two tabs are listed", func() bool { return len(b.Tabs(t)) >= 2 && strings.HasPrefix(p.URL(), "http://") })
	eventually(t, "requests are seen", func() bool {
		return slices.ContainsFunc(b.Requests(), func(r Request) bool { return r.URL == "http://"+host+"/strict" && r.Status == 200 && r.Method == "GET" })
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for until := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("never: %s", what)
		}
	}
}
