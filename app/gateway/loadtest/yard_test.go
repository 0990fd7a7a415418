package loadtest

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestYard: every way of measuring works, through both ways, and nothing of it is left. How good the figures are is for
// the benchmarks.
func TestYard(t *testing.T) {
	y := newYard(t)
	for name, target := range map[string]Target{"straight": y.Straight, "door": y.Door} {
		r, err := Run(t.Context(), target, 4, 20*time.Millisecond)
		if err != nil || len(r.Times) < 4 || r.PerSecond() <= 0 || r.Quantile(0.5) <= 0 || r.Quantile(0.99) < r.Quantile(0.5) {
			t.Errorf("%s: %d requests, %v", name, len(r.Times), err)
		}
		for _, upload := range []bool{false, true} {
			if r, err := RunBody(t.Context(), target, upload, time.Millisecond); err != nil || r.Megabytes() <= 0 {
				t.Errorf("%s, upload %v: %v", name, upload, err)
			}
		}
		open, err := OpenSockets(t.Context(), target, 5)
		if err != nil || len(open) != 5 {
			t.Errorf("%s: %d WebSockets, %v", name, len(open), err)
		}
		for _, c := range open {
			_ = c.Close()
		}
	}
	u, err := y.Usage()
	if err != nil || u.Heap == 0 || u.Stacks == 0 {
		t.Errorf("usage %+v, %v", u, err)
	}
	stranger := y.Door
	stranger.Head = stranger.Head[:strings.Index(stranger.Head, "Cookie:")]
	if _, err := Run(t.Context(), stranger, 1, time.Millisecond); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("without a session: %v", err) // what is measured has its checks on
	}
	dir := y.dir
	if err := y.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", dir, err)
	}
}

// TestRivals: each is compared with where it is installed, and skipped where not.
func TestRivals(t *testing.T) {
	y := newYard(t)
	for _, name := range RivalNames() {
		rival, installed, err := y.Rival(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if !installed {
			t.Logf("%s is not installed here", name)
			continue
		}
		if r, err := Run(t.Context(), rival.Target, 2, 10*time.Millisecond); err != nil || len(r.Times) < 2 || rival.Version == "" {
			t.Errorf("%s %s: %d requests, %v", name, rival.Version, len(r.Times), err)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := exec.LookPath("/usr/sbin/caddy"); err == nil {
		return
	}
	if _, installed, err := y.Rival(t.Context(), "Caddy"); installed || err != nil {
		t.Errorf("Caddy without a program: %v %v", installed, err)
	}
}

func TestFirstVersion(t *testing.T) {
	for text, want := range map[string]string{"2.6.2\n": "2.6.2", "v2.8.4 h1:abc=": "v2.8.4", "nginx version: nginx/1.22.1\n": "1.22.1", "": ""} {
		if got := firstVersion(text); got != want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
	}
}
