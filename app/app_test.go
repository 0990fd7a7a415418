package app

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"paddock/app/bundle"
	"paddock/app/control"
	"paddock/sandbox"
	"paddock/sandbox/permission"
	"paddock/store"
)

// at is a clock that a test moves.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newClock() *clock { return &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func TestBackoffGrowsAndIsBounded(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	deaths := func(n int) []time.Time {
		var out []time.Time
		for i := range n {
			out = append(out, now.Add(-time.Duration(n-1-i)*time.Second))
		}
		return out
	}
	last := time.Duration(0)
	for n := range 30 {
		wait := backoff(deaths(n), now)
		switch {
		case n < deathsBefore && wait != 0:
			t.Errorf("%d deaths: waits %v, want none", n, wait)
		case n >= deathsBefore && wait == 0:
			t.Errorf("%d deaths: does not wait", n)
		case wait < last:
			t.Errorf("%d deaths: waits %v, less than before (%v)", n, wait, last)
		case wait > maxBackoff:
			t.Errorf("%d deaths: waits %v, more than %v", n, wait, maxBackoff)
		}
		last = wait
	}
	if w := backoff(deaths(5), now.Add(2*deathWindow)); w != 0 {
		t.Errorf("long after the last death it still waits %v", w)
	}
}

func requests(ps ...string) []permission.Request {
	var out []permission.Request
	for _, s := range ps {
		p, err := permission.Parse(s)
		if err != nil {
			panic(err)
		}
		r := permission.Request{Permission: p, Reason: "Because."}
		if p.Kind == permission.Files {
			r.Access, r.Folder = permission.Read, true
		}
		out = append(out, r)
	}
	return out
}

func TestWider(t *testing.T) {
	at := func(schedule string) []permission.Request {
		r := requests("background")
		r[0].Schedule = schedule
		return r
	}
	readwrite := requests("files:photos")
	readwrite[0].Access = permission.ReadWrite
	for name, c := range map[string]struct {
		now, had []permission.Request
		want     string
	}{
		"same":               {requests("net:a.example", "lan"), requests("net:a.example", "lan"), ""},
		"new host":           {requests("net:a.example", "net:b.example"), requests("net:a.example"), "net:b.example"},
		"narrower":           {requests("net:api.a.example"), requests("net:*.a.example"), ""},
		"wider":              {requests("net:*.a.example"), requests("net:api.a.example"), "net:*.a.example"},
		"other port":         {requests("net:a.example:8443"), requests("net:a.example"), "net:a.example:8443"},
		"first version":      {requests("lan"), nil, "lan"},
		"reading to writing": {readwrite, requests("files:photos"), "files:photos"},
		"writing to reading": {requests("files:photos"), readwrite, ""},
		"to more times":      {at("0 */2 * * *"), at("0 */6 * * *"), "background"},
		"to fewer times":     {at("0 */6 * * *"), at("0 */2 * * *"), ""},
		"to all the time":    {at(""), at("0 7 * * *"), "background"},
	} {
		if got := wider(c.now, c.had).String(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestInstallAnswers(t *testing.T) {
	a := &App{now: newClock().now}
	asked := requests("net:a.example", "lan", "files:photos")
	granted := func(in control.Commit) (string, error) {
		gs, err := a.installAnswers(asked, in)
		var out []string
		for _, g := range gs {
			out = append(out, g.Decision.String()+" "+g.Permission.String())
			if g.Lifetime != permission.Always {
				t.Errorf("%v: lifetime %v", g.Permission, g.Lifetime)
			}
		}
		return strings.Join(out, ", "), err
	}
	for name, c := range map[string]struct {
		in   control.Commit
		want string
	}{
		"nothing named":     {control.Commit{}, ""},
		"one":               {control.Commit{Grant: []string{"lan"}}, "allow lan"},
		"spelled otherwise": {control.Commit{Grant: []string{"net:A.Example.:443"}}, "allow net:a.example"},
		"all":               {control.Commit{GrantAll: true}, "allow net:a.example, allow lan"},
		"none":              {control.Commit{DenyAll: true}, "deny net:a.example, deny lan, deny files:photos"},
		"none but one":      {control.Commit{DenyAll: true, Grant: []string{"lan"}}, "deny net:a.example, deny files:photos, allow lan"},
	} {
		if got, err := granted(c.in); err != nil || got != c.want {
			t.Errorf("%s: %q (%v), want %q", name, got, err, c.want)
		}
	}
	for text, code := range map[string]string{
		"net:b.example": "not_requested", "net:*": "not_requested", "run:/bin/sh": "never_grantable",
		"files:photos": "path_needed", "net:localhost": "bad_permission", "": "bad_permission",
	} {
		_, err := granted(control.Commit{Grant: []string{text}})
		var e *control.Error
		if !errors.As(err, &e) || e.Code != code {
			t.Errorf("--grant %q: %v, want code %s", text, err, code)
		}
	}
}

func TestLabelsAreHostLabels(t *testing.T) {
	for _, id := range []string{"org.example.notes", "a", "org.example.Ünïcode", "org.example." + strings.Repeat("x", 100), "org.example.-", "org.example.notes.dev"} {
		label := newLabel(id)
		if len(label) > 63 || label == "" || strings.HasPrefix(label, "-") || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			t.Errorf("%s: %q is no host label", id, label)
		}
		if newLabel(id) == label {
			t.Errorf("%s: the same label twice", id)
		}
	}
}

func TestShortName(t *testing.T) {
	for id, want := range map[string]string{"org.example.notes": "notes", "notes": "notes", "org.example.notes.dev": "notes-dev"} {
		if got := shortName(id); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
}

func TestManifestBudgetIsCapped(t *testing.T) {
	m := &bundle.Manifest{}
	m.Resources.MemoryMB, m.Resources.CPUPercent, m.Resources.DiskMB = 1<<20, 100_000, 1<<30
	most := sandbox.MaxBudget()
	if b := manifestBudget(m); b.MemoryBytes != most.MemoryBytes || b.CPUPercent != most.CPUPercent || b.DiskBytes != most.DiskBytes {
		t.Errorf("a greedy manifest gets %+v", b)
	}
	def := sandbox.DefaultBudget()
	if b := manifestBudget(&bundle.Manifest{}); b.MemoryBytes != def.MemoryBytes || b.CPUPercent != def.CPUPercent || b.DiskBytes != def.DiskBytes {
		t.Errorf("a silent manifest gets %+v", b)
	}
}

func TestHomeIsChecked(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, home := range map[string]string{
		"a comma": filepath.Join(dir, "a,b"), "a line break": filepath.Join(dir, "a\nb"), "no text": filepath.Join(dir, "a\xff"),
		"a file": file, "relative": "here", "inside a file": filepath.Join(file, "x"),
	} {
		var e *control.Error
		if err := PrepareHome(home); !errors.As(err, &e) || e.Exit != control.ExitUnreachable || e.Hint == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := filepath.Join(dir, "deep", "home")
	if err := PrepareHome(good); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(good, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := PrepareHome(good); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(good); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("an open home stays open: %v %v", st.Mode(), err)
	}
}

func TestBreachTextNamesTheNumbers(t *testing.T) {
	for _, c := range []struct {
		b    *store.Breach
		want []string
	}{
		{&store.Breach{Budget: "memory", Limit: 256 << 20, Measured: 300 << 20}, []string{"memory", "256 MiB", "300 MiB"}},
		{&store.Breach{Budget: "disk", Limit: 1 << 30, Measured: 2 << 30}, []string{"disk", "1.0 GiB", "2.0 GiB"}},
		{&store.Breach{Budget: "cpu", Limit: 3, Measured: 3.25}, []string{"processor", "3.0", "3.2"}},
		{&store.Breach{Budget: "processes", Limit: 1024, Measured: 1100}, []string{"1024", "1100 threads"}},
		{nil, []string{"limits"}},
	} {
		for _, w := range c.want {
			if got := breachText(c.b); !strings.Contains(got, w) {
				t.Errorf("%+v: %q lacks %q", c.b, got, w)
			}
		}
	}
}

func TestMeterRate(t *testing.T) {
	c := newClock()
	m := newMeter(c.now)
	var rate float64
	for i := range 50 {
		rate = m.rate("download", int64(i)*1000)
		c.t = c.t.Add(100 * time.Millisecond)
	}
	if rate < 9_000 || rate > 11_000 {
		t.Errorf("1,000 bytes each tenth of a second is %v bytes a second", rate)
	}
	if r := m.rate("unpack", 5); r != 0 {
		t.Errorf("a new step starts at %v", r)
	}
	if len(m.marks) > 256 {
		t.Errorf("%d marks are kept", len(m.marks))
	}
}

func TestLocalPath(t *testing.T) {
	for source, want := range map[string]string{
		"file:///tmp/a%20b.paddock": "/tmp/a b.paddock", "file://localhost/x.paddock": "/x.paddock", "/x.paddock": "/x.paddock",
		"file://elsewhere/x": "file://elsewhere/x", "https://a.example/x": "https://a.example/x", "paddock://install?url=x": "paddock://install?url=x", "": "", "file:": "file:", "%zz": "%zz",
	} {
		if got := localPath(source); got != want {
			t.Errorf("%s: %s, want %s", source, got, want)
		}
	}
}

func TestLogFileIsBounded(t *testing.T) {
	home := t.TempDir()
	for range 3 { // opened again and again, it goes on
		l, err := OpenLogFile(home)
		if err != nil {
			t.Fatal(err)
		}
		l.max = 10_000
		line := []byte(strings.Repeat("x", 99) + "\n")
		for range 500 {
			if _, err := l.Write(line); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(home)
	if err != nil || len(files) != 2 {
		t.Fatalf("%v %v", files, err)
	}
	for _, f := range files {
		if st, err := f.Info(); err != nil || st.Size() > 10_000 || st.Size() == 0 || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", f.Name(), st, err)
		}
	}
}

// What an app ended for its threads is offered: their limit is the same for all apps, so there is none to raise.
func TestNoLimitOfThreadsToRaise(t *testing.T) {
	offered := func(budget string) (actions []string) {
		b := store.Breach{Budget: budget, Limit: 1, Measured: 2}
		_, notice := unwished("org.example.a", "A", sandbox.Exit{Reason: sandbox.OverBudget}, &b, 0, time.Now())
		for _, c := range notice.Actions {
			actions = append(actions, c.Action)
		}
		return actions
	}
	if got := offered(sandbox.BudgetCPU); !slices.Equal(got, []string{"restart", "raise", "dismiss"}) {
		t.Errorf("over its processor time: %q", got)
	}
	if got := offered(sandbox.BudgetProcesses); !slices.Equal(got, []string{"restart", "dismiss"}) {
		t.Errorf("over its threads: %q", got)
	}
}
