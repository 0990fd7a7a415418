package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"paddock/sandbox/permission"
	"paddock/store"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(crashEnv); path != "" {
		writeUntilKilled(path)
		return
	}
	goleak.VerifyTestMain(m)
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func open(t *testing.T) *store.DB {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "store.db"))
}

func openAt(t *testing.T, path string) *store.DB {
	t.Helper()
	db, err := store.Open(path, store.Options{Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, db.Close()) })
	return db
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func value[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		must(t, err)
		return v
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func perm(s string) permission.Permission {
	p, err := permission.Parse(s)
	if err != nil {
		panic(err)
	}
	return p
}

func notes() store.Install {
	return store.Install{
		Install: "k3j4h5", AppID: "org.example.notes", Name: "Notes", Version: "1.2.0", VersionCode: 12, PublisherKey: "RWkey",
		Label: "notes-abcdefgh", Source: "https://apps.example.org/notes.paddock", Manifest: []byte(`{"id":"org.example.notes"}`),
		Budget: store.Budget{MemoryBytes: 256 << 20, CPUPercent: 50, DiskBytes: 1 << 30}, Workers: 2,
		InstalledAt: noon.Add(-time.Hour), UpdatedAt: noon, Previous: []store.Version{{Version: "1.1.0", VersionCode: 11}},
		CodeBytes: 12345, Asks: map[string]int{"net:api.example.com": 2},
	}
}

func grant(s string, d permission.Decision) permission.Grant {
	return permission.Grant{Permission: perm(s), Decision: d, Lifetime: permission.Always, At: noon, By: permission.ByPrompt}
}

func TestInstallComesBackAsItWas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db := openAt(t, path)
	want := notes()
	removed := noon.Add(time.Minute)
	want.RemovedAt, want.KeepData = &removed, "30d"
	must(t, db.PutInstall(want))
	must(t, db.Close())

	db = openAt(t, path)
	equal(t, "install", value[store.Install](t)(db.Install("k3j4h5")), want)
	want.RemovedAt, want.KeepData, want.Asks, want.Previous = nil, "", nil, nil
	must(t, db.PutInstall(want))
	equal(t, "install replaced", value[store.Install](t)(db.Install("k3j4h5")), want)

	if _, err := db.Install("other"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown install gives %v", err)
	}
	if _, err := db.Install(""); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an empty install gives %v", err)
	}
	for _, bad := range []store.Install{{}, {Install: "x"}, {AppID: "x"}} {
		if err := db.PutInstall(bad); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%+v was stored: %v", bad, err)
		}
	}
	if mode := value[os.FileInfo](t)(os.Stat(path)).Mode().Perm(); mode != 0o600 {
		t.Errorf("the file has mode %o", mode)
	}
}

func TestInstallsAreSorted(t *testing.T) {
	db := open(t)
	for _, id := range []string{"org.c", "org.a", "org.b"} {
		must(t, db.PutInstall(store.Install{Install: "z" + id, AppID: id}))
	}
	must(t, db.PutInstall(store.Install{Install: "a", AppID: "org.b"}))
	var order []string
	for _, in := range value[[]store.Install](t)(db.Installs()) {
		order = append(order, in.AppID+" "+in.Install)
	}
	equal(t, "order", order, []string{"org.a zorg.a", "org.b a", "org.b zorg.b", "org.c zorg.c"})
}

func TestPreviousVersionsAreBounded(t *testing.T) {
	db := open(t)
	in := notes()
	in.Previous = make([]store.Version, 50)
	in.Previous[0].Version = "newest"
	must(t, db.PutInstall(in))
	got := value[store.Install](t)(db.Install(in.Install)).Previous
	if len(got) != 20 || got[0].Version != "newest" {
		t.Errorf("%d versions are kept, the first is %+v", len(got), got[0])
	}
}

func TestCommitReplacesGrantsAndPins(t *testing.T) {
	db := open(t)
	in := notes()
	must(t, db.Commit(in, []permission.Grant{grant("lan", permission.Deny), grant("net:api.example.com", permission.Allow)}))
	equal(t, "grants", value[[]permission.Grant](t)(db.Grants(in.Install)),
		[]permission.Grant{grant("lan", permission.Deny), grant("net:api.example.com", permission.Allow)})

	in.VersionCode = 5 // a rollback: the floor must not fall with it
	must(t, db.Commit(in, []permission.Grant{grant("lan", permission.Allow)}))
	equal(t, "grants after the second commit", value[[]permission.Grant](t)(db.Grants(in.Install)), []permission.Grant{grant("lan", permission.Allow)})
	own := store.Pin{Key: "RWkey", Floor: 12, Install: in.Install}
	equal(t, "pins", value[[]store.Pin](t)(db.Pins(in.AppID)), []store.Pin{own})

	other := in
	other.Install, other.PublisherKey, other.VersionCode = "another", "RWother", 1
	must(t, db.Commit(other, nil))
	equal(t, "pins of both keys", value[[]store.Pin](t)(db.Pins(in.AppID)), []store.Pin{{Key: "RWother", Floor: 1, Install: "another"}, own})

	must(t, db.DeleteInstall("another"))
	equal(t, "pins after the purge of the other", value[[]store.Pin](t)(db.Pins(in.AppID)), []store.Pin{own})

	dev := store.Install{Install: "dev1", AppID: "org.example.notes.dev", Dev: true}
	must(t, db.Commit(dev, nil))
	if pins := value[[]store.Pin](t)(db.Pins(dev.AppID)); len(pins) > 0 {
		t.Errorf("a development install has pinned %+v", pins)
	}
}

func TestCommitIsAllOrNothing(t *testing.T) {
	db := open(t)
	in := notes()
	must(t, db.Commit(in, []permission.Grant{grant("lan", permission.Allow)}))
	in.Version = "2.0.0"
	bad := permission.Grant{Permission: permission.Permission{Kind: permission.Net, Scope: "localhost"}, Decision: permission.Allow}
	if err := db.Commit(in, []permission.Grant{grant("links", permission.Allow), bad}); !errors.Is(err, store.ErrInvalid) {
		t.Fatalf("a grant that does not parse gives %v", err)
	}
	if got := value[store.Install](t)(db.Install(in.Install)).Version; got != "1.2.0" {
		t.Errorf("a failed commit left version %s", got)
	}
	equal(t, "grants", value[[]permission.Grant](t)(db.Grants(in.Install)), []permission.Grant{grant("lan", permission.Allow)})
}

func TestGrants(t *testing.T) {
	db := open(t)
	in := notes()
	must(t, db.PutInstall(in))
	equal(t, "no grants", value[[]permission.Grant](t)(db.Grants(in.Install)), []permission.Grant(nil))
	file := permission.Grant{
		Permission: perm("files:notes"), Decision: permission.Allow, Lifetime: permission.Always,
		Access: permission.ReadWrite, Path: "/home/ann/notes", At: noon, By: permission.ByCLI,
	}
	must(t, db.PutGrants(in.Install, grant("lan", permission.Allow), file))
	must(t, db.PutGrants(in.Install, grant("lan", permission.Deny)))
	equal(t, "grants", value[[]permission.Grant](t)(db.Grants(in.Install)), []permission.Grant{file, grant("lan", permission.Deny)})
	must(t, db.DeleteGrant(in.Install, perm("lan")))
	if err := db.DeleteGrant(in.Install, perm("lan")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("forgetting an answer twice gives %v", err)
	}
	equal(t, "grants", value[[]permission.Grant](t)(db.Grants(in.Install)), []permission.Grant{file})
	for what, err := range map[string]error{
		"PutGrants":   db.PutGrants("other", file),
		"DeleteGrant": db.DeleteGrant("other", perm("lan")),
		"Grants":      second(db.Grants("other")),
	} {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s of an unknown app: %v", what, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestRuns(t *testing.T) {
	db := open(t)
	in := notes()
	must(t, db.PutInstall(in))
	ended := noon.Add(time.Second)
	breach := store.Breach{Budget: "memory", Limit: 1 << 28, Measured: 1<<28 + 5}
	first := value[uint64](t)(db.StartRun(in.Install, store.Run{StartedAt: noon, PID: 7}))
	must(t, db.EndRun(in.Install, first, store.Run{StartedAt: noon, EndedAt: &ended, Reason: "over_budget", Breach: &breach, Tail: strings.Repeat("x", 20000) + "end"}, nil))
	next := value[uint64](t)(db.StartRun(in.Install, store.Run{StartedAt: ended}))
	if next <= first {
		t.Errorf("run ids %d, %d do not grow", first, next)
	}
	runs := value[[]store.Run](t)(db.Runs(in.Install))
	if len(runs) != 2 || runs[0].EndedAt != nil || runs[1].Reason != "over_budget" || *runs[1].Breach != breach {
		t.Fatalf("runs %+v", runs)
	}
	if tail := runs[1].Tail; len(tail) > 9000 || !strings.HasSuffix(tail, "end") {
		t.Errorf("the tail has %d bytes and ends in %q", len(tail), tail[len(tail)-5:])
	}

	closed, err := db.CloseOpenRuns("host_closed", noon.Add(time.Hour))
	must(t, err)
	if closed != 1 {
		t.Errorf("%d runs were closed", closed)
	}
	if r := value[[]store.Run](t)(db.Runs(in.Install))[0]; r.Reason != "host_closed" || !r.EndedAt.Equal(noon.Add(time.Hour)) {
		t.Errorf("the open run became %+v", r)
	}
	if again, err := db.CloseOpenRuns("host_closed", noon); again != 0 || err != nil {
		t.Errorf("closing again closed %d, %v", again, err)
	}
	if err := db.EndRun(in.Install, 999, store.Run{}, nil); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("ending an unknown run gives %v", err)
	}
}

func TestRunsAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 220 transactions")
	}
	db := open(t)
	in := notes()
	must(t, db.PutInstall(in))
	var first uint64
	for i := range 220 {
		id := value[uint64](t)(db.StartRun(in.Install, store.Run{StartedAt: noon.Add(time.Duration(i) * time.Second)}))
		if i == 0 {
			first = id
		}
	}
	runs := value[[]store.Run](t)(db.Runs(in.Install))
	if len(runs) != 200 || !runs[0].StartedAt.Equal(noon.Add(219*time.Second)) {
		t.Errorf("%d runs are kept, the newest from %s", len(runs), runs[0].StartedAt)
	}
	if err := db.EndRun(in.Install, first, store.Run{}, nil); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("ending a dropped run gives %v", err)
	}
	if closed := value[int](t)(db.CloseOpenRuns("host_closed", noon)); closed != 200 {
		t.Errorf("%d of 200 open runs were closed", closed)
	}
}

func TestActivityIsSummedUp(t *testing.T) {
	db := open(t)
	in := notes()
	must(t, db.PutInstall(in))
	one := store.Activity{At: noon, Permission: "net:api.example.com", Outcome: "allowed", Side: "process", Count: 1, BytesIn: 10, BytesOut: 3}
	later, page, refused, nextHour := one, one, one, one
	later.At = noon.Add(59 * time.Minute)
	page.Side = "page"
	refused.Outcome = "refused"
	nextHour.At = noon.Add(time.Hour)
	must(t, db.AddActivity(in.Install, one, page, refused))
	must(t, db.AddActivity(in.Install, later, nextHour))
	must(t, db.AddActivity(in.Install))

	sum := later
	sum.Count, sum.BytesIn, sum.BytesOut = 2, 20, 6
	equal(t, "activity", value[[]store.Activity](t)(db.Activity(in.Install, time.Time{})), []store.Activity{nextHour, sum, page, refused})
	equal(t, "activity of the last hour", value[[]store.Activity](t)(db.Activity(in.Install, noon.Add(time.Hour))), []store.Activity{nextHour})
	equal(t, "use", value[map[string]store.Use](t)(db.Use(in.Install)), map[string]store.Use{
		"net:api.example.com": {Last: noon.Add(time.Hour), Count: 4, Refused: 1},
	})
	for _, bad := range []store.Activity{{At: noon, Permission: "lan", Outcome: "maybe"}, {At: noon, Outcome: "refused"}} {
		if err := db.AddActivity(in.Install, bad); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%+v was stored: %v", bad, err)
		}
	}
}

// What an app reports about itself is kept and shown, beside what is known of it, and is no use of a permission; nor
// does a flood of it crowd out what is known.
func TestReportedActivity(t *testing.T) {
	db := open(t)
	in := notes()
	must(t, db.PutInstall(in))
	says := store.Activity{At: noon, Permission: "sys:hostname", Outcome: "allowed", Side: "process", Count: 2, Reported: true}
	known := store.Activity{At: noon, Permission: "sys:hostname", Outcome: "allowed", Side: "process", Count: 1}
	must(t, db.AddActivity(in.Install, says, known, says))
	says.Count = 4
	all := value[[]store.Activity](t)(db.Activity(in.Install, time.Time{}))
	if len(all) != 2 || !slices.Contains(all, says) || !slices.Contains(all, known) {
		t.Errorf("kept: %+v", all)
	}
	equal(t, "use", value[map[string]store.Use](t)(db.Use(in.Install)), map[string]store.Use{"sys:hostname": {Last: noon, Count: 1}})

	var flood []store.Activity
	for i := range 200 {
		flood = append(flood, store.Activity{At: noon, Permission: fmt.Sprintf("net:x%d.example.net", i), Outcome: "refused", Side: "process", Count: 1, Reported: true})
	}
	late := store.Activity{At: noon, Permission: "net:api.example.com", Outcome: "allowed", Side: "process", Count: 1}
	must(t, db.AddActivity(in.Install, append(flood, late)...))
	all = value[[]store.Activity](t)(db.Activity(in.Install, time.Time{}))
	if len(all) > 45 || !slices.Contains(all, late) {
		t.Errorf("after a flood of reports %d entries are kept, what came after it among them: %v", len(all), slices.Contains(all, late))
	}
	if err := db.AddActivity(in.Install, store.Activity{At: noon, Outcome: "refused", Reported: true}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a report of nothing was stored: %v", err)
	}
}

// What an app tries is its own choice: neither the number nor the length of names may fill the disk or push out
// what it really used.
func TestActivityIsBounded(t *testing.T) {
	db := open(t)
	in := notes()
	must(t, db.PutInstall(in))
	real := store.Activity{At: noon, Permission: "net:api.example.com", Outcome: "allowed", Side: "process", Count: 1}
	must(t, db.AddActivity(in.Install, real))
	var flood []store.Activity
	for hour := range 30 {
		for i := range 150 {
			flood = append(flood, store.Activity{
				At:         noon.Add(-time.Duration(hour) * time.Hour),
				Permission: fmt.Sprintf("net:h%d-%d.%s", hour, i, strings.Repeat("x\x00", 2000)), Outcome: "refused", Side: "process", Count: 1,
			})
		}
	}
	old := real
	old.At = noon.Add(-8 * 24 * time.Hour)
	must(t, db.AddActivity(in.Install, append(flood, old)...))

	all := value[[]store.Activity](t)(db.Activity(in.Install, time.Time{}))
	if len(all) > 2000 || len(all) < 1900 {
		t.Errorf("%d entries are kept", len(all))
	}
	kept, others := false, int64(0)
	for _, a := range all {
		if a.At.Before(noon.Add(-7 * 24 * time.Hour)) {
			t.Errorf("an entry from %s is kept", a.At)
		}
		if len(a.Permission) > 310 || strings.Contains(a.Permission, "\x00") {
			t.Errorf("a permission of %d bytes is kept", len(a.Permission))
		}
		kept = kept || a.Permission == real.Permission
		if a.Permission == store.OtherActivity && a.At.Equal(noon) {
			others = a.Count
		}
	}
	if !kept || others != 51 {
		t.Errorf("the real use is kept: %v; %d tries of the hour are summed up as others, want 51", kept, others)
	}
	use := value[map[string]store.Use](t)(db.Use(in.Install))
	if len(use) > 500 || use[real.Permission].Count != 2 {
		t.Errorf("%d permissions are kept, the real one with %+v", len(use), use[real.Permission])
	}
}

func TestSessions(t *testing.T) {
	db := open(t)
	in := notes()
	must(t, db.PutInstall(in))
	s := store.Session{Install: in.Install, Created: noon, Used: noon}
	for i := range 70 { // 0 is used again and again, 1 never
		s.Hash[0], s.Used = byte(i), noon.Add(time.Duration(i)*time.Second)
		must(t, db.PutSession(s))
		s.Hash[0] = 0
		must(t, db.PutSession(s))
	}
	all := value[[]store.Session](t)(db.Sessions())
	has := map[byte]bool{}
	for _, s := range all {
		has[s.Hash[0]] = true
		if s.Install != in.Install || !s.Created.Equal(noon) {
			t.Fatalf("session %+v", s)
		}
	}
	if len(all) != 64 || !has[0] || !has[69] || has[1] {
		t.Errorf("%d sessions are kept; 0 %v, 69 %v, 1 %v", len(all), has[0], has[69], has[1])
	}
	must(t, db.DeleteSessions(in.Install))
	must(t, db.DeleteSessions(in.Install))
	must(t, db.DeleteSessions("other"))
	if all := value[[]store.Session](t)(db.Sessions()); len(all) != 0 {
		t.Errorf("%d sessions outlive their end", len(all))
	}
	if err := db.PutSession(store.Session{Install: "other"}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a session of an unknown app gives %v", err)
	}
}

func TestNotices(t *testing.T) {
	db := open(t)
	for i := range 110 {
		must(t, db.PutNotice(store.Notice{ID: fmt.Sprint("n", i), At: noon.Add(time.Duration(i) * time.Second), Text: strings.Repeat("x", 10000), Actions: []string{"restart"}}))
	}
	all := value[[]store.Notice](t)(db.Notices())
	if len(all) != 100 || all[0].ID != "n109" || all[99].ID != "n10" || len(all[0].Text) > 5000 {
		t.Fatalf("%d notices from %s to %s", len(all), all[0].ID, all[len(all)-1].ID)
	}
	must(t, db.DeleteNotice("n109"))
	must(t, db.DeleteNotice("n109"))
	if all := value[[]store.Notice](t)(db.Notices()); all[0].ID != "n108" {
		t.Errorf("the newest notice is %s", all[0].ID)
	}
	if err := db.PutNotice(store.Notice{}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a notice without an id: %v", err)
	}
}

func TestSettingsAndRuntimes(t *testing.T) {
	db := open(t)
	if v, set, err := db.Setting("look"); v != "" || set || err != nil {
		t.Errorf("an unset setting: %q %v %v", v, set, err)
	}
	must(t, db.SetSetting("look", "dark"))
	must(t, db.SetSetting("language", ""))
	if v, set, _ := db.Setting("look"); v != "dark" || !set {
		t.Errorf("look is %q %v", v, set)
	}
	if v, set, _ := db.Setting("language"); v != "" || !set {
		t.Errorf("language is %q %v", v, set)
	}
	for key, v := range map[string]string{"": "x", strings.Repeat("k", 300): "x", "k": strings.Repeat("v", 1<<20)} {
		if err := db.SetSetting(key, v); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("setting of %d and %d bytes: %v", len(key), len(v), err)
		}
	}
	if _, known, err := db.Runtime("deno1", "idle_vmdata"); known || err != nil {
		t.Errorf("an unknown measurement: %v %v", known, err)
	}
	for i := range 20 {
		must(t, db.SetRuntime(fmt.Sprint("deno", i), "idle_vmdata", int64(i)<<20))
	}
	if v, known, _ := db.Runtime("deno19", "idle_vmdata"); v != 19<<20 || !known {
		t.Errorf("the measurement is %d %v", v, known)
	}
	kept := 0
	for i := range 20 {
		if _, known, _ := db.Runtime(fmt.Sprint("deno", i), "idle_vmdata"); known {
			kept++
		}
	}
	if kept != 8 {
		t.Errorf("%d binaries are remembered", kept)
	}
	if err := db.SetRuntime("", "x", 1); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a measurement of nothing: %v", err)
	}
}

func TestDiskUse(t *testing.T) {
	db := open(t)
	in := notes()
	must(t, db.PutInstall(in))
	if n := value[int64](t)(db.DiskUse(in.Install)); n != 0 {
		t.Errorf("never measured: %d", n)
	}
	disk := int64(12345678901)
	run := value[uint64](t)(db.StartRun(in.Install, store.Run{StartedAt: noon}))
	must(t, db.EndRun(in.Install, run, store.Run{StartedAt: noon}, &disk))
	if n := value[int64](t)(db.DiskUse(in.Install)); n != 12345678901 {
		t.Errorf("measured %d", n)
	}
	if _, err := db.DiskUse("other"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown app: %v", err)
	}
}

func TestDeleteInstallTakesEverything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db := openAt(t, path)
	in := notes()
	other := store.Install{Install: "other", AppID: "org.other"}
	must(t, db.PutInstall(other))
	must(t, db.Commit(in, []permission.Grant{grant("net:secret.example.com", permission.Allow)}))
	_, err := db.StartRun(in.Install, store.Run{StartedAt: noon})
	must(t, err)
	must(t, db.AddActivity(in.Install, store.Activity{At: noon, Permission: "lan", Outcome: "refused", Side: "process", Count: 1}))
	must(t, db.PutSession(store.Session{Install: in.Install, Hash: [32]byte{1}}))
	must(t, db.PutNotice(store.Notice{ID: "1", Install: in.Install}))
	must(t, db.PutNotice(store.Notice{ID: "2", Install: "other"}))

	must(t, db.DeleteInstall(in.Install))
	if err := db.DeleteInstall(in.Install); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("deleting twice gives %v", err)
	}
	if all := value[[]store.Install](t)(db.Installs()); len(all) != 1 || all[0].Install != "other" {
		t.Errorf("left are %+v", all)
	}
	if pins := value[[]store.Pin](t)(db.Pins(in.AppID)); len(pins) > 0 {
		t.Errorf("pins left: %+v", pins)
	}
	if all := value[[]store.Notice](t)(db.Notices()); len(all) != 1 || all[0].ID != "2" {
		t.Errorf("notices left: %+v", all)
	}
	must(t, db.PutInstall(in))
	if g := value[[]permission.Grant](t)(db.Grants(in.Install)); len(g) != 0 {
		t.Errorf("a new install with the same id inherits %+v", g)
	}
	if r := value[[]store.Run](t)(db.Runs(in.Install)); len(r) != 0 {
		t.Errorf("a new install with the same id inherits %+v", r)
	}
}

// Nothing that a caller gets may point into the mapped file, which goes away with Close.
func TestValuesOutliveTheStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db := openAt(t, path)
	in := notes()
	in.Manifest = bytes.Repeat([]byte("m"), 100000)
	must(t, db.PutInstall(in))
	must(t, db.SetSetting("k", "value"))
	must(t, db.PutSession(store.Session{Install: in.Install, Hash: [32]byte{9}}))
	got := value[store.Install](t)(db.Install(in.Install))
	setting, _, err := db.Setting("k")
	must(t, err)
	sessions := value[[]store.Session](t)(db.Sessions())
	must(t, db.Close())
	if !bytes.Equal(got.Manifest, in.Manifest) || setting != "value" || sessions[0].Hash != [32]byte{9} {
		t.Error("a value changed when the store was closed")
	}
	if _, err := db.Installs(); err == nil {
		t.Error("a closed store answers")
	}
}

func TestManyCallersAtOnce(t *testing.T) {
	db := open(t)
	in := notes()
	must(t, db.PutInstall(in))
	const writers, each = 4, 15
	errs := make(chan error, 2*writers*each)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for range each {
				errs <- db.AddActivity(in.Install, store.Activity{At: noon, Permission: "lan", Outcome: "refused", Side: "process", Count: 1})
				_, err := db.StartRun(in.Install, store.Run{StartedAt: noon, PID: w})
				errs <- err
			}
		})
		all.Go(func() {
			for range each {
				if _, err := db.Installs(); err != nil {
					t.Error(err)
				}
				if _, err := db.Activity(in.Install, time.Time{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		must(t, err)
	}
	if got := value[map[string]store.Use](t)(db.Use(in.Install))["lan"].Refused; got != writers*each {
		t.Errorf("%d of %d refusals are counted", got, writers*each)
	}
	if got := value[[]store.Run](t)(db.Runs(in.Install)); len(got) != writers*each {
		t.Errorf("%d of %d runs are there", len(got), writers*each)
	}
}
