package app_test

import (
	"archive/zip"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"paddock/app/bundle"
	"paddock/app/control"
)

// signed makes a signed bundle of an author's folder.
func signed(t *testing.T, dir string) string {
	t.Helper()
	secret, _, _, err := bundle.Keygen("")
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	content, file := filepath.Join(out, "content.zip"), filepath.Join(out, "app.paddock")
	f, err := os.Create(content)
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(f)
	if err := errors.Join(w.AddFS(os.DirFS(dir)), w.Close(), f.Close(), bundle.Sign(content, secret, "", file)); err != nil {
		t.Fatal(err)
	}
	return file
}

const keeper = `export default { async fetch(r) {
	const u = new URL(r.url);
	if (u.pathname === "/write") Deno.writeTextFileSync("note", u.searchParams.get("t"));
	return new Response(Deno.readTextFileSync("note"));
} };
Deno.addSignalListener("SIGTERM", () => { Deno.writeTextFileSync("tidy", "yes"); Deno.exit(0); });`

func quiet(control.Progress) error { return nil }

// TestBackupHoldsTheApp: during the copy the app does not run and may tidy up before, requests wait and are answered after
// it, what was allowed for the session stays; and who cancels, or ends Paddock, leaves no file and a running app.
func TestBackupHoldsTheApp(t *testing.T) {
	l := newLive(t, nil)
	l.installFile(signed(t, write(t, "org.example.test", 1, asks, keeper)))
	get := l.visit(control.Open{App: "test"})
	if code, body := get("/write?t=one"); code != http.StatusOK || body != "one" {
		t.Fatalf("%d %s", code, body)
	}
	if err := l.Decide(t.Context(), control.Decide{App: "test", Permission: "net:a.example:80", Decision: "allow", Session: true}); err != nil {
		t.Fatal(err)
	}
	get("/")
	dir := t.TempDir()
	file := filepath.Join(dir, "one.backup")
	answer := make(chan string, 1)
	asked := false
	res, err := l.Backup(t.Context(), control.Backup{App: "test", File: file}, func(control.Progress) error {
		if !asked {
			asked = true
			if ps := l.Ps(); len(ps) != 0 {
				t.Errorf("during the copy: %+v", ps)
			}
			go func() { _, body := get("/"); answer <- body }()
		}
		return nil
	})
	if err != nil || res.Files != 2 || !asked { // note and tidy
		t.Fatalf("%+v, %v", res, err)
	}
	select {
	case body := <-answer:
		if body != "one" {
			t.Errorf("the request that waited: %s", body)
		}
	case <-time.After(patience):
		t.Fatal("the request that waited has no answer")
	}
	if rows, err := l.Permissions(t.Context(), control.AppRef{App: "test"}); err != nil || rows[0].Decision != "allow" || rows[0].Lifetime != "session" {
		t.Errorf("the session's answer: %+v %v", rows, err)
	}

	gone := errors.New("the client is gone")
	_, err = l.Backup(t.Context(), control.Backup{App: "test", File: filepath.Join(dir, "two.backup")}, func(control.Progress) error { return gone })
	if control.AsError(err).Code != "cancelled" {
		t.Errorf("cancelled: %v", err)
	}
	if _, body := get("/"); body != "one" {
		t.Errorf("after a cancelled backup: %s", body)
	}
	_, err = l.Restore(t.Context(), control.Restore{File: file}, func(control.Progress) error { return gone })
	if control.AsError(err).Code != "cancelled" {
		t.Errorf("cancelled restore: %v", err)
	}

	// The end of Paddock does not wait for a copy.
	ended, began := make(chan struct{}), false
	_, err = l.Backup(t.Context(), control.Backup{App: "test", File: filepath.Join(dir, "three.backup")}, func(control.Progress) error {
		if !began {
			began = true
			go func() { defer close(ended); l.StopAll(t.Context()) }()
			l.wait("the copy is told to end", func() bool { return !l.Holding("test") })
		}
		return nil
	})
	<-ended
	if control.AsError(err).Code != "closing" {
		t.Errorf("ended by the end of Paddock: %v", err)
	}
	if ps := l.Ps(); len(ps) != 0 {
		t.Errorf("started again at the end: %+v", ps)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("in the folder: %v %v", left, err)
	}
}

// installFile installs a bundle.
func (l *live) installFile(file string) {
	l.t.Helper()
	s, err := l.Stage(l.t.Context(), control.Stage{Source: file}, quiet)
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := l.Commit(l.t.Context(), control.Commit{Stage: s.Stage}); err != nil {
		l.t.Fatal(err)
	}
}

// TestBackupOnAFullDisk: without room nothing is written, nothing is restored, and what is there stays.
func TestBackupOnAFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can mount the small file system that this fills")
	}
	small := t.TempDir()
	if err := syscall.Mount("paddock-test", small, "tmpfs", 0, "size=64m"); err != nil {
		t.Skip("no file system can be mounted here: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(small, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	file := signed(t, write(t, "org.example.test", 1, asks, keeper))
	if _, err := launcher(); err != nil { // made where the other tests find it afterwards
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", small)
	l := newLive(t, nil)
	l.installFile(file)
	info, err := l.Info(t.Context(), control.AppRef{App: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(info.Paths.Data, "big"), make([]byte, 20<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(t.TempDir(), "x.backup") // beside small, not in it
	if _, err := l.Backup(t.Context(), control.Backup{App: "test", File: backup}, quiet); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(small, "filler"), make([]byte, 30<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = l.Backup(t.Context(), control.Backup{App: "test", File: filepath.Join(small, "y.backup")}, quiet)
	if e := control.AsError(err); e.Code != "disk_full" || e.Hint == "" {
		t.Errorf("backup: %v", err)
	}
	_, err = l.Restore(t.Context(), control.Restore{File: backup}, quiet)
	if e := control.AsError(err); e.Code != "disk_full" || e.Hint == "" {
		t.Errorf("restore: %v", err)
	}
	if st, err := os.Stat(filepath.Join(info.Paths.Data, "big")); err != nil || st.Size() != 20<<20 {
		t.Errorf("the data: %v %v", st, err)
	}
	for _, dir := range []string{small, filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(info.Paths.Data))), "staging")} {
		left, err := os.ReadDir(dir)
		if err != nil || strings.Contains(fmt.Sprint(left), "backup") || strings.Contains(fmt.Sprint(left), "restore-") {
			t.Errorf("left in %s: %v %v", dir, left, err)
		}
	}
}

// TestUnsignedIsNotBackedUp says so instead of writing what could never be restored.
func TestUnsignedIsNotBackedUp(t *testing.T) {
	l := newLive(t, nil)
	l.install(write(t, "org.example.test", 1, asks, keeper))
	_, err := l.Backup(t.Context(), control.Backup{App: "test-dev", File: filepath.Join(t.TempDir(), "x")}, quiet)
	if e := control.AsError(err); e.Code != "unsigned" || e.Exit != control.ExitRefused || e.Hint == "" {
		t.Errorf("%v", err)
	}
	l.installFile(signed(t, write(t, "org.example.old", 1, asks, keeper)))
	info, err := l.Info(t.Context(), control.AppRef{App: "old"})
	if err != nil {
		t.Fatal(err)
	}
	kept := info.Paths.Code + ".paddock"
	for _, c := range []struct {
		code  string
		spoil func() error
	}{
		{"bundle_damaged", func() error { return errors.Join(os.Chmod(kept, 0o600), os.WriteFile(kept, []byte("x"), 0o600)) }},
		{"no_bundle", func() error { return os.Remove(kept) }},
	} {
		if err := c.spoil(); err != nil {
			t.Fatal(err)
		}
		_, err = l.Backup(t.Context(), control.Backup{App: "old", File: filepath.Join(t.TempDir(), "x")}, quiet)
		if e := control.AsError(err); e.Code != c.code || e.Hint == "" {
			t.Errorf("%s: %v", c.code, err)
		}
	}
}
