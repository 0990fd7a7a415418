package e2e

import (
	"context"
	"os"
	"testing"

	"github.com/chromedp/chromedp"
)

// browse starts a real Chromium with a profile of its own and returns a tab in it.
func browse(t testing.TB) context.Context {
	t.Helper()
	profile, err := os.MkdirTemp("", "paddock-browser")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // the browser's own children write on for a moment after it has ended
		eventually(t, "the browser's profile is removed", deadline, func() bool { return os.RemoveAll(profile) == nil })
	})
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(profile),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-dev-shm-usage", true),
	)
	alloc, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	tab, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	whole := tab
	t.Cleanup(func() { // closes the browser and waits for it
		if err := chromedp.Cancel(whole); err != nil {
			t.Log("end the browser:", err)
		}
	})
	if _, err := chromedp.Run(tab, chromedp.Location()); err != nil {
		t.Fatalf("start Chromium: %v (“packaging/setup.sh” installs it)", err)
	}
	tab, cancel = context.WithTimeout(tab, 2*deadline)
	t.Cleanup(cancel)
	return tab
}

// eval runs an expression in the page, waiting for the promise it may be.
func eval[T any](t testing.TB, tab context.Context, expression string) T {
	t.Helper()
	v, err := chromedp.Run(tab, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// goTo opens a URL and waits for its page.
func goTo(t testing.TB, tab context.Context, url string) {
	t.Helper()
	if err := chromedp.Do(tab, chromedp.Navigate(url)); err != nil {
		t.Fatalf("open %s: %v", url, err)
	}
}

// waitFor waits until an expression is true in the page. While the page changes, asking may fail.
func waitFor(t testing.TB, tab context.Context, what, expression string) {
	t.Helper()
	eventually(t, what, deadline, func() bool {
		ok, err := chromedp.Run(tab, chromedp.Evaluate[bool](expression))
		return err == nil && ok
	})
}
