package attack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"
)

// fewest is how many attempts issue 3 wants at least.
const fewest = 150

// Variables for whoever works on the table.
const (
	onlyVariable    = "PADDOCK_ATTACK_ONLY"    // run the rows whose name contains this
	detailsVariable = "PADDOCK_ATTACK_DETAILS" // with -v: say what came of each
)

func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range table() {
		if r.name == "" || r.origin == "" {
			t.Errorf("row %q has no name or no origin", r.name)
		}
		if seen[r.name] {
			t.Errorf("row %q is there twice", r.name)
		}
		seen[r.name] = true
		for s, why := range r.open {
			if s == settingControl || s == settingRoot || why == "" {
				t.Errorf("row %q is open in %s for the reason %q", r.name, s, why)
			}
		}
	}
	if len(seen) < fewest {
		t.Errorf("%d rows, want at least %d", len(seen), fewest)
	}
}

// Each attempt fails behind both walls and behind each of them alone, and succeeds without them.
func TestAttacks(t *testing.T) {
	settings := []setting{settingControl, settingKernel, settingBoth, settingDeno}
	if os.Geteuid() == 0 {
		settings = append(settings, settingRoot)
	} else {
		t.Log("not root: both walls are not tried with a root agent, and no second user is")
	}
	base, bin, deno := prepare(t)
	rows, only := table(), os.Getenv(onlyVariable)
	results := map[setting]map[string]outcome{}
	done := make(chan func(), len(settings))
	slots := make(chan struct{}, 3) // settings at a time: each waits now and then
	for i, s := range settings {
		go func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			began := time.Now()
			r := work(t, job{
				Setting: s, Root: filepath.Join(base, string(s)), Bin: bin, Deno: deno, Rows: filepath.Join(bin, "rows"), Only: only,
			}, i)
			done <- func() {
				results[s] = map[string]outcome{}
				for _, o := range r.Outcomes {
					results[s][o.Row] = o
				}
				t.Logf("%s: %d rows in %.1f s; the supervisor says %s %s", s, len(r.Outcomes), time.Since(began).Seconds(), r.Level, r.Open)
				if r.Error != "" {
					t.Errorf("%s: %s", s, r.Error)
				}
				for _, what := range r.Damage {
					t.Errorf("%s: the home is not as it was: %s", s, what)
				}
			}
		}()
	}
	for range settings {
		(<-done)()
	}
	for _, r := range rows {
		if !strings.Contains(r.name, only) {
			continue
		}
		for _, s := range settings {
			if !r.tried(s) {
				continue
			}
			o, made := results[s][r.name]
			if !made {
				t.Errorf("%s: %s was not tried", s, r.name)
				continue
			}
			if r.optional != "" && !results[settingControl][r.name].Succeeded {
				if s == settingControl {
					t.Logf("%s proves nothing on this machine: %s (%s)", r.name, r.optional, o.Detail)
				}
				continue
			}
			if problem := judge(r, s, o); problem != "" {
				t.Errorf("%s: %s: %s: %s", s, r.name, problem, o.Detail)
			}
			if testing.Verbose() && os.Getenv(detailsVariable) != "" {
				t.Logf("%-8s %-50s %v %.2fs %s", s, r.name, o.Succeeded, o.Took.Seconds(), o.Detail)
			}
		}
	}
	t.Log(summary(settings, rows, results))
}

// judge says what is wrong with an outcome.
func judge(r row, s setting, o outcome) string {
	switch {
	case s == settingControl && r.harmless:
		if !o.Felt {
			return "the app did not feel its own attack, which proves nothing behind the walls"
		}
		if o.Succeeded {
			return "another app felt it even in the control run"
		}
	case s == settingControl && o.Breach != "" && o.Breach == r.counted:
		// It worked until the watchdog, which is no wall and counts without walls too, ended it for that very reason.
	case s == settingControl && !o.Succeeded:
		return "refused without any wall, which proves nothing behind them"
	case s != settingControl && o.Succeeded && r.openIn(s) == "":
		return "IT SUCCEEDED"
	case s != settingControl && !o.Succeeded && r.openIn(s) != "" && s != settingRoot:
		return fmt.Sprintf("refused, though the table says that it is open (%s): shut the row", r.openIn(s))
	}
	return ""
}

// summary is the table of a run: rows, settings, successes, and what is open.
func summary(settings []setting, rows []row, results map[setting]map[string]outcome) string {
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\nsetting\trows\tsucceeded\tknown to be open\tfelt by itself only\n")
	reasons := map[string][]string{}
	for _, s := range settings {
		succeeded, known, itself := 0, 0, 0
		for _, r := range rows {
			if why := r.openIn(s); why != "" && !r.tried(s) {
				reasons[string(s)+", not tried: "+why] = append(reasons[string(s)+", not tried: "+why], r.name)
			}
			o := results[s][r.name]
			if r.harmless && o.Felt {
				itself++
			}
			if o.Succeeded {
				succeeded++
				if why := r.openIn(s); why != "" && s != settingControl {
					known++
					reasons[string(s)+": "+why] = append(reasons[string(s)+": "+why], r.name)
				}
			}
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\n", s, len(results[s]), succeeded, known, itself)
	}
	_ = w.Flush()
	for _, why := range slices.Sorted(maps.Keys(reasons)) {
		fmt.Fprintf(&text, "open, %s\n    %s\n", why, strings.Join(reasons[why], "\n    "))
	}
	return text.String()
}

// prepare lays out what all workers share, readable by every user: the test program, paddock-launch, Deno, the rows.
func prepare(t *testing.T) (base, bin, deno string) {
	t.Helper()
	base, err := os.MkdirTemp("", "pa-") // short: sockets lie in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	bin = filepath.Join(base, "bin")
	self, err := os.Executable()
	for _, step := range []func() error{
		func() error { return err },
		func() error { return os.Chmod(base, 0o755) },
		func() error { return os.MkdirAll(filepath.Join(bin, "rows"), 0o755) },
		func() error { return copyFile(self, filepath.Join(bin, "attack"), 0o755) },
		func() error { return copyFolder("testdata", filepath.Join(bin, "rows")) },
		func() error { return os.Chmod(filepath.Join(bin, "rows"), 0o755) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := os.ReadDir(filepath.Join(bin, "rows"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range rows {
		if err := os.Chmod(filepath.Join(bin, "rows", f.Name()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(bin, realLauncher), "paddock/sandbox/launch")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build paddock-launch: %v\n%s", err, out)
	}
	if err := os.Chmod(filepath.Join(bin, realLauncher), 0o755); err != nil {
		t.Fatal(err)
	}
	return base, bin, reachable(t, bin, findDeno(t))
}

// findDeno is the real runtime.
func findDeno(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("PADDOCK_DENO"); path != "" {
		return path
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
			continue
		}
		path := filepath.Join(dir, "bin", "deno")
		if _, err := os.Stat(path); err == nil {
			return path
		}
		break
	}
	t.Fatal("these tests need the real Deno: set PADDOCK_DENO or run `make headless`")
	return ""
}

// reachable is deno, or a copy of it that other users can run.
func reachable(t *testing.T, bin, deno string) string {
	t.Helper()
	deno, err := filepath.EvalSymlinks(deno)
	if err != nil {
		t.Fatal(err)
	}
	probe := exec.Command(deno, "--version")
	probe.Env = []string{}
	probe.Dir = "/"
	probe.SysProcAttr = &syscall.SysProcAttr{Credential: credential(0)}
	if probe.Run() == nil {
		return deno
	}
	copied := filepath.Join(bin, "deno")
	if err := copyFile(deno, copied, 0o755); err != nil {
		t.Fatal(err)
	}
	return copied
}

// credential is the user who runs the i-th setting, or nil where the tests cannot choose. Each setting has its own, so
// that none can reach another's processes.
func credential(i int) *syscall.Credential {
	if os.Geteuid() != 0 {
		return nil
	}
	id := uint32(61570 + i) // in no distribution's range of real users
	return &syscall.Credential{Uid: id, Gid: id, NoSetGroups: false}
}

// work runs a worker and returns what it found.
func work(t *testing.T, j job, i int) report {
	who := credential(i)
	if j.Setting == settingRoot {
		who = nil
	}
	if err := os.Mkdir(j.Root, 0o700); err != nil {
		return report{Error: err.Error()}
	}
	if who != nil {
		if err := os.Chown(j.Root, int(who.Uid), int(who.Gid)); err != nil {
			return report{Error: err.Error()}
		}
	}
	text, err := json.Marshal(j)
	if err != nil {
		return report{Error: err.Error()}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, filepath.Join(j.Bin, "attack"))
	c.Env = []string{partVariable + "=" + partWorker, secretVariable, "TMPDIR=" + j.Root, "PATH=" + os.Getenv("PATH")}
	c.Dir = j.Root
	c.Stdin = bytes.NewReader(text)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: who, Setsid: true, Pdeathsig: syscall.SIGKILL}
	var out, complaints bytes.Buffer
	c.Stdout, c.Stderr = &out, &complaints
	err = c.Run()
	var r report
	if failed := json.Unmarshal(out.Bytes(), &r); failed != nil {
		return report{Error: fmt.Sprintf("the worker ended with %v and said %q: %v\n%s", err, out.String(), failed, complaints.String())}
	}
	if complaints.Len() > 0 {
		t.Logf("%s: the worker complains:\n%s", j.Setting, complaints.String())
	}
	return r
}
