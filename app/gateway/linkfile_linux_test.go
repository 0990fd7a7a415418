package gateway

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestLinkFileIsPrivate reads such a file as another user of the machine, which only root can become.
func TestLinkFileIsPrivate(t *testing.T) {
	r := newRig(t, serveApp(t, hello("app")))
	_, path := r.linkFile()
	if os.Geteuid() != 0 {
		t.Log("not root, so nobody else can be acted: TestLinkFile looks at the mode")
		return
	}
	open := filepath.Join(r.options.LinkDir, "control.html")
	if err := errors.Join(os.WriteFile(open, []byte("?t="), 0o644), os.Chmod(open, 0o644), os.Chmod(r.options.LinkDir, 0o755)); err != nil { //nolint:gosec // so that the file's own mode has to hold
		t.Fatal(err)
	}
	for _, row := range []struct {
		path  string
		uid   uint32
		reads bool
	}{{path, 1500, false}, {path, 0, true}, {open, 1500, true}} {
		cmd := exec.Command("cat", row.path)
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: row.uid, Gid: row.uid}}
		out, err := cmd.CombinedOutput()
		if read := err == nil && strings.Contains(string(out), "?t="); read != row.reads {
			t.Errorf("%s as user %d: %v, %q", filepath.Base(row.path), row.uid, err, out)
		}
	}
}
