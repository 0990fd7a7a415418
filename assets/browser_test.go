package assets

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// policy is what the front door sends with every page of an app (gateway.md 8), here with one granted host.
const policy = "default-src 'self'; connect-src 'self' %[1]s; img-src 'self' data: blob: %[1]s; media-src 'self' data: blob: %[1]s; " +
	"font-src 'self' data: blob: %[1]s; frame-ancestors 'none'; form-action 'self'; base-uri 'none'; object-src 'none'"

// front serves an app under the host's policy.
func front(t *testing.T, app *running, granted string) string {
	t.Helper()
	target, err := url.Parse(app.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.FlushInterval = -1
	proxy.ModifyResponse = func(r *http.Response) error {
		r.Header.Set("Content-Security-Policy", fmt.Sprintf(policy, granted))
		return nil
	}
	s := httptest.NewServer(proxy)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

func chromium(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("PADDOCK_CHROMIUM"); path != "" {
		return path
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("no Chromium found: run `make setup`, or set PADDOCK_CHROMIUM")
	return ""
}

// tab is a page in a real browser. What it complains about (policy violations, exceptions) is collected.
type tab struct {
	ctx context.Context
	mu  sync.Mutex
	bad []string
}

// profile is a folder for a browser. The browser's own children write on for a moment after it has ended, so
// that removing it is tried until it succeeds.
func profile(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "paddock-browser")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		again := time.NewTicker(50 * time.Millisecond)
		defer again.Stop()
		deadline := time.After(time.Minute)
		for err := os.RemoveAll(dir); err != nil; err = os.RemoveAll(dir) {
			select {
			case <-again.C:
			case <-deadline:
				t.Errorf("the browser's profile stays: %v", err)
				return
			}
		}
	})
	return dir
}

func browser(t *testing.T) context.Context {
	t.Helper()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(chromium(t)), chromedp.NoSandbox, chromedp.UserDataDir(profile(t)))
	ctx, cancelAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancelBrowser := chromedp.NewContext(ctx)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Log("end the browser:", err)
		}
		cancelBrowser()
		cancelAllocator()
	})
	if err := chromedp.Do(ctx); err != nil { // the browser lives as long as the context of the first call
		t.Fatal(err)
	}
	return ctx
}

func openTab(t *testing.T, browser context.Context, address string) *tab {
	t.Helper()
	ctx, cancelTab := chromedp.NewContext(browser)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	page := &tab{ctx: ctx}
	t.Cleanup(func() {
		cancel()
		cancelTab()
	})
	if err := chromedp.Listen(ctx, func(event any) {
		page.mu.Lock()
		defer page.mu.Unlock()
		switch e := event.(type) {
		case *log.EventEntryAdded:
			page.bad = append(page.bad, e.Entry.Text)
		case *runtime.EventExceptionThrown:
			page.bad = append(page.bad, e.ExceptionDetails.Text)
		}
	}); err != nil {
		t.Fatal(err)
	}
	enable := func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, log.Enable, cdp.Empty{})
		return chromedp.Void{}, err
	}
	if err := chromedp.Do(ctx, enable, chromedp.EmulateViewport(1280, 800), chromedp.Navigate(address)); err != nil {
		t.Fatal(err)
	}
	return page
}

// eventually waits until a condition on the page holds.
func (p *tab) eventually(t *testing.T, condition string) {
	t.Helper()
	if _, err := chromedp.Run(p.ctx, chromedp.Poll[bool](condition, chromedp.WithPollingTimeout(time.Minute))); err != nil {
		state, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string]("document.body.innerText"))
		t.Fatalf("%s: %v\nthe page shows:\n%s\nand said %q", condition, err, state, p.bad)
	}
}

func (p *tab) keys(t *testing.T, keys string) {
	t.Helper()
	if err := chromedp.Do(p.ctx, chromedp.KeyEvent(keys)); err != nil {
		t.Fatal(err)
	}
}

// press sends a shortcut as a browser does: prevented, it types nothing. (Key events over the protocol type
// their letter even then.)
func (p *tab) press(t *testing.T, key string) {
	t.Helper()
	script := fmt.Sprintf(`document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: %q, bubbles: true, cancelable: true})), true`, key)
	if _, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool](script)); err != nil {
		t.Fatal(err)
	}
}

func (p *tab) click(t *testing.T, selector string) {
	t.Helper()
	if err := chromedp.Do(p.ctx, chromedp.Click(chromedp.CSS(selector))); err != nil {
		t.Fatalf("click %s: %v", selector, err)
	}
}

func (p *tab) quiet(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	// The browser logs every refusal of the app's own interface too; those are part of the test.
	p.bad = slices.DeleteFunc(p.bad, func(s string) bool { return strings.HasPrefix(s, "Failed to load resource: the server responded") })
	if len(p.bad) > 0 {
		t.Errorf("the page complains: %s", strings.Join(p.bad, "\n"))
	}
}

// Two windows on the same notes, used by keyboard and mouse, under the host's policy.
func TestNotesInABrowser(t *testing.T) {
	app := start(t, bundled(t, "notes"), t.TempDir(), nil)
	address := front(t, app, "")
	b := browser(t)
	one, two := openTab(t, b, address), openTab(t, b, address)
	one.eventually(t, `document.querySelector("#editor").value.includes("Welcome to Notes")`)
	two.eventually(t, `document.querySelector("#editor").value.includes("Welcome to Notes")`)

	one.press(t, "n")
	one.eventually(t, `document.activeElement.id === "editor" && document.activeElement.value === ""`)
	one.keys(t, "# Hello <b>there</b>\n\n- [ ] first <script>window.bad = 1</script> #tagged\n")
	one.eventually(t, `document.querySelector("#status").textContent === "Saved"`)

	// The other window sees it without being asked, and follows while it is open.
	two.eventually(t, `document.querySelector("#list").innerText.includes("Hello <b>there</b>")`)
	two.eventually(t, `[...document.querySelectorAll("#tags .tag")].some((e) => e.textContent === "#tagged")`)
	two.click(t, `#list li:first-child .row`)
	two.click(t, `#read`)
	two.eventually(t, `document.querySelector("#preview h1")?.textContent === "Hello <b>there</b>" && document.querySelector("#preview b") === null`)
	two.click(t, `#preview input[type=checkbox]`)
	one.eventually(t, `document.querySelector("#editor").value.includes("- [x] first")`)
	one.eventually(t, `window.bad === undefined`)

	// A page without the right to open links shows where they lead.
	one.click(t, "#read")
	if _, err := chromedp.Run(one.ctx, chromedp.Evaluate[bool](`(() => {
		const e = document.querySelector("#editor"); e.value += "\n[far](https://far.example/)\n"; e.dispatchEvent(new Event("input"));
		document.querySelector("#read").click(); return true })()`)); err != nil {
		t.Fatal(err)
	}
	one.click(t, "#preview a")
	one.eventually(t, `document.querySelector("#dialog input")?.value === "https://far.example/"`)
	one.keys(t, "\u001b") // Escape
	one.eventually(t, `!document.querySelector("#dialog").open`)
	one.click(t, "#write")
	two.eventually(t, `document.querySelector("#editor").value.includes("far.example")`)

	// Both type at once: nothing is lost.
	if _, err := chromedp.Run(one.ctx, chromedp.Evaluate[bool](`(() => {
		const e = document.querySelector("#editor"); e.value += "from one"; e.dispatchEvent(new Event("input")); return true })()`)); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Run(two.ctx, chromedp.Evaluate[bool](`(() => {
		const e = document.querySelector("#editor"); e.value += "from two"; e.dispatchEvent(new Event("input")); return true })()`)); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for {
		_, all, _ := app.text(t, "/api/export")
		if strings.Contains(all, "from one") && strings.Contains(all, "from two") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("one of two windows lost what was typed:\n%s", all)
		}
	}

	// Trash and undo, search, keys, all without the mouse.
	one.click(t, "#status")
	if _, err := chromedp.Run(one.ctx, chromedp.Evaluate[bool](`(document.activeElement.blur(), true)`)); err != nil {
		t.Fatal(err)
	}
	one.press(t, "/")
	one.eventually(t, `document.activeElement.id === "search"`)
	one.keys(t, "welcome")
	one.press(t, "Enter")
	one.eventually(t, `document.querySelector("#editor").value.includes("Welcome")`)
	one.press(t, "Delete")
	one.eventually(t, `document.querySelector("#toast").innerText.includes("Moved to the trash")`)
	one.click(t, "#toast button")
	one.eventually(t, `document.querySelector("#editor").value.includes("Welcome") && !document.querySelector("#editor").readOnly`)

	// A narrow window shows the list or the note, never both squeezed.
	if err := chromedp.Do(one.ctx, chromedp.EmulateViewport(380, 700)); err != nil {
		t.Fatal(err)
	}
	one.eventually(t, `document.querySelector(".side").offsetParent === null && document.documentElement.scrollWidth <= 380`)
	one.click(t, "#back")
	one.eventually(t, `document.querySelector(".side").offsetParent !== null && document.querySelector(".main").offsetParent === null`)
	one.quiet(t)
	two.quiet(t)
}

// A feed is added, read and starred by keyboard; a hostile article stays text; what is not allowed says so.
func TestFeedsInABrowser(t *testing.T) {
	s, _ := site(t)
	host := strings.TrimPrefix(s.URL, "http://")
	app := start(t, bundled(t, "feeds"), t.TempDir(), map[string]string{"net:" + host: "granted", "links": "denied"}, host)
	page := openTab(t, browser(t), front(t, app, s.URL))
	page.eventually(t, `document.querySelectorAll("#feeds i").length === 3`) // three feeds, none allowed

	page.press(t, "a")
	page.eventually(t, `document.activeElement.tagName === "INPUT"`)
	page.keys(t, "javascript:alert(1)\r")
	page.eventually(t, `document.querySelector("#dialog .bad").textContent !== ""`)
	if _, err := chromedp.Run(page.ctx, chromedp.Evaluate[bool](`(document.querySelector("#dialog input").value = "", true)`)); err != nil {
		t.Fatal(err)
	}
	page.keys(t, s.URL+"/feed.xml\r")
	page.eventually(t, `document.querySelector("#title").textContent === "The Site" && document.querySelectorAll("#items .row").length === 2`)
	page.press(t, "j")
	page.eventually(t, `document.querySelector("#article h1")?.textContent === "Article 2"`)
	page.eventually(t, `document.querySelector("#article").innerText.includes("Hi") && document.querySelector("#article script") === null`)
	page.eventually(t, `document.querySelectorAll("#article img").length === 1 && document.querySelector("#article").innerText.includes("Pictures from tracker.example are not shown")`)
	page.click(t, "#original")
	page.eventually(t, `document.querySelector("#dialog input")?.value.startsWith("http")`)
	page.keys(t, "\u001b") // Escape
	page.eventually(t, `!document.querySelector("#dialog").open`)
	page.press(t, "s")
	page.eventually(t, `document.querySelector("#star").getAttribute("aria-pressed") === "true"`)
	page.eventually(t, `document.querySelector("#items .row.read .starred") !== null`)
	page.press(t, "j")
	page.eventually(t, `document.querySelector("#article h1")?.textContent === "Article 1" && document.title === "Feeds"`)

	page.click(t, `#feeds i`)
	page.eventually(t, `document.querySelector("#trouble").innerText.includes("You have not allowed Feeds to talk to")`)
	page.eventually(t, `document.querySelector("#trouble button").textContent === "Ask Paddock…"`)

	// Narrower windows show the article in the place of the list.
	page.click(t, `#views li:nth-child(2) .source`)
	page.eventually(t, `document.querySelectorAll("#items .row").length === 2`)
	page.press(t, "k")
	for _, width := range []int64{900, 380} {
		if err := chromedp.Do(page.ctx, chromedp.EmulateViewport(width, 700)); err != nil {
			t.Fatal(err)
		}
		page.eventually(t, fmt.Sprintf(`document.querySelector(".main").offsetParent !== null && document.querySelector(".column").offsetParent === null && document.documentElement.scrollWidth <= %d`, width))
	}
	page.click(t, "#to-list")
	page.eventually(t, `document.querySelector(".main").offsetParent === null && document.querySelector(".column").offsetParent !== null`)
	page.quiet(t)
}
