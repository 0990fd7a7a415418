package app_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"paddock/app/control"
)

// writer fills the disk, so slowly that a busy machine notices in time, and stops when it is full.
const writer = `export default { async fetch(r) {
	if (new URL(r.url).pathname === "/fill") {
		try { for (let i = 0;; i++) { Deno.writeFileSync("f" + i, new Uint8Array(1 << 17).fill(1)); await new Promise((done) => setTimeout(done, 50)); } } catch { await new Promise(() => {}); }
	}
	return new Response("page");
} };`

// TestFullDisk: apps stop writing before the file system is full, none is started on a full one, and what the store
// holds stays whole.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can mount the small file system that this fills")
	}
	small, err := os.MkdirTemp("", "pd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(small) })
	if err := syscall.Mount("paddock-test", small, "tmpfs", 0, "size=256m"); err != nil {
		t.Skip("no file system can be mounted here: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(small, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	if _, err := launcher(); err != nil { // made where the other tests find it afterwards
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", small)
	l := newLive(t, nil)
	dir := write(t, "org.example.test", 1, asks, writer)
	l.install(dir)
	if err := l.Decide(t.Context(), control.Decide{App: "test-dev", Permission: "net:a.example:80", Decision: "allow"}); err != nil {
		t.Fatal(err)
	}
	get := l.visit(control.Open{App: "test-dev"})

	// leave leaves so many bytes free, by a file of our own.
	filler := filepath.Join(small, "filler")
	leave := func(free int64) {
		t.Helper()
		if err := os.RemoveAll(filler); err != nil {
			t.Fatal(err)
		}
		var st syscall.Statfs_t
		if err := syscall.Statfs(small, &st); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filler, make([]byte, max(int64(st.Bavail)*st.Bsize-free, 0)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	leave(18 << 20)
	get("/fill")
	t.Cleanup(func() {
		if t.Failed() {
			h, err := l.History(t.Context(), control.AppRef{App: "test-dev"})
			t.Logf("history: %+v, %v", h, err)
		}
	})
	l.wait("the writer is stopped", func() bool {
		h, err := l.History(t.Context(), control.AppRef{App: "test-dev"})
		return err == nil && len(h) == 1 && h[0].Reason == "over_budget" && h[0].Breach != nil && h[0].Breach.Budget == "disk"
	})
	told := false
	for _, n := range l.State().Notices {
		told = told || n.Code == "over_budget" && strings.Contains(n.Text, "disk is nearly full")
	}
	if !told {
		t.Errorf("notices: %+v", l.State().Notices)
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(small, &st); err != nil || st.Bavail == 0 {
		t.Errorf("%d blocks are left, %v", st.Bavail, err)
	}

	leave(1 << 20)
	_, err = l.Open(t.Context(), control.Open{App: "test-dev"})
	if e := control.AsError(err); e.Code != "disk_full" || e.Exit != control.ExitNotStarted || e.Hint == "" {
		t.Errorf("started on a full disk: %+v", err)
	}
	if code, body := get("/"); code != http.StatusServiceUnavailable || !strings.Contains(body, "The disk is nearly full") || !strings.Contains(body, `value="start"`) || strings.Contains(body, small) {
		t.Errorf("the page on a full disk: %d %s", code, body)
	}

	leave(0)
	want := "allow always"
	if err := l.Decide(t.Context(), control.Decide{App: "test-dev", Permission: "net:a.example:80", Decision: "deny"}); err == nil {
		want = "deny always"
	} else {
		t.Logf("with no space at all: %v", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if got := l.rows()["net:a.example:80"]; got != want {
		t.Errorf("the answer is %q, want %q", got, want)
	}
	get = l.visit(control.Open{App: "test-dev"})
	if code, body := get("/"); code != http.StatusOK || body != "page" {
		t.Errorf("with space again: %d %s", code, body)
	}

	// An app that ends on a full disk has ended, in the history too: at once, and when there is space again.
	leave(0)
	if err := l.Stop(t.Context(), control.AppRef{App: "test-dev"}); err != nil {
		t.Errorf("stop on a full disk: %v", err)
	}
	for _, when := range []string{"on the full disk", "with space again"} {
		h, err := l.History(t.Context(), control.AppRef{App: "test-dev"})
		if err != nil || len(h) != 4 || h[0].Reason != "stopped" || h[0].EndedAt == nil {
			t.Errorf("%s the history is %+v, %v", when, h, err)
		}
		if err := os.RemoveAll(filler); err != nil {
			t.Fatal(err)
		}
	}
}
