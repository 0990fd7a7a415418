package app

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"paddock/sandbox"
	"paddock/store"
)

// smallDisk is a file system of that many bytes, with a way to fill it and one to empty it again.
func smallDisk(t *testing.T, bytes int64) (dir string, fill, free func()) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can mount the small file system that this fills")
	}
	dir, err := os.MkdirTemp("", "pd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := syscall.Mount("paddock-test", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		t.Skip("no file system can be mounted here: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	filler := filepath.Join(dir, "filler")
	fill = func() {
		t.Helper()
		if err := os.WriteFile(filler, make([]byte, bytes), 0o600); err == nil {
			t.Fatalf("%d bytes fit beside what there is", bytes)
		}
	}
	free = func() {
		t.Helper()
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
	}
	return dir, fill, free
}

// historyOn is a history of one app on a disk of a megabyte.
func historyOn(t *testing.T, path string) (*history, *store.DB) {
	t.Helper()
	db, err := store.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &history{store: db, log: slog.New(slog.DiscardHandler)}, db
}

func start(h *history, at time.Time) *run {
	r := &run{}
	h.note(lateRun{install: "app", run: r, record: store.Run{StartedAt: at}})
	return r
}

func end(h *history, r *run, at time.Time, reason sandbox.Reason) {
	ended, disk := at.Add(time.Second), int64(7)
	h.note(lateRun{install: "app", run: r, disk: &disk, record: store.Run{
		StartedAt: at, EndedAt: &ended, Reason: string(reason), Tail: strings.Repeat("x", 8<<10), // so that each needs pages of its own
	}})
}

// reasons is the history of the app, oldest first, in short.
func reasons(t *testing.T, h *history) string {
	t.Helper()
	runs, err := h.runs("app")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for i := range runs {
		r := runs[len(runs)-1-i]
		if r.EndedAt == nil {
			r.Reason = "open"
		}
		all = append(all, fmt.Sprint(r.StartedAt.Minute(), " ", r.Reason))
	}
	return strings.Join(all, ", ")
}

// Launches, ends and notices that a full disk refuses are shown as if they were written, and are written when there is
// space again, in order and once.
func TestHistoryOnAFullDisk(t *testing.T) {
	dir, fill, free := smallDisk(t, 1<<20)
	path := filepath.Join(dir, "store.db")
	h, db := historyOn(t, path)
	if err := db.PutInstall(store.Install{Install: "app", AppID: "org.example.app", Manifest: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	hour := newClock().t.Truncate(time.Hour)
	at := func(minute int) time.Time { return hour.Add(time.Duration(minute) * time.Minute) }
	end(h, start(h, at(0)), at(0), sandbox.Stopped)
	open := start(h, at(1)) // it runs while the disk fills up
	want := "0 stopped, 1 over_budget"
	fill()
	end(h, open, at(1), sandbox.OverBudget)
	last := 1
	for !h.behind.Load() { // until the pages that the file has to spare are used up
		last++
		end(h, start(h, at(last)), at(last), sandbox.Crashed)
		want += fmt.Sprintf(", %d crashed", last)
		if last > 40 {
			t.Fatal("the store goes on writing on a full disk")
		}
	}
	for range 3 {
		last++
		end(h, start(h, at(last)), at(last), sandbox.Finished)
		want += fmt.Sprintf(", %d finished", last)
	}
	running := start(h, at(last+1))
	h.tell(store.Notice{ID: "n", At: at(0), Text: "first"})
	h.tell(store.Notice{ID: "n", At: at(1), Text: "second"})
	if err := h.retry(); !noRoom(err) {
		t.Fatalf("a full disk says %v", err)
	}
	if got := reasons(t, h); got != want+fmt.Sprintf(", %d open", last+1) {
		t.Errorf("while the disk is full the history is %s", got)
	}
	if n, err := h.notices(); len(n) != 1 || n[0].Text != "second" {
		t.Errorf("while the disk is full the notices are %+v, %v", n, err)
	}
	if len(h.late) < 4 {
		t.Errorf("only %d launches wait: the disk was not full", len(h.late))
	}

	free()
	if err := h.retry(); err != nil {
		t.Fatal(err)
	}
	end(h, running, at(last+1), sandbox.Stopped)
	want += fmt.Sprintf(", %d stopped", last+1)
	if h.behind.Load() || len(h.late)+len(h.untold) > 0 {
		t.Errorf("%d launches and %d notices still wait", len(h.late), len(h.untold))
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	h, db = historyOn(t, path)
	defer db.Close()
	if got := reasons(t, h); got != want {
		t.Errorf("the next agent reads\n%s\nwant\n%s", got, want)
	}
	if n, err := h.notices(); len(n) != 1 || n[0].Text != "second" {
		t.Errorf("the next agent reads %+v, %v", n, err)
	}
	if disk, err := db.DiskUse("app"); disk != 7 {
		t.Errorf("the disk use is %d, %v", disk, err)
	}
}

// An agent that starts on a full disk knows that no app runs, says so, and writes it down when it can, before anything
// that comes after.
func TestStaleHistoryOnAFullDisk(t *testing.T) {
	dir, fill, free := smallDisk(t, 1<<20)
	path := filepath.Join(dir, "store.db")
	h, db := historyOn(t, path)
	if err := db.PutInstall(store.Install{Install: "app", AppID: "org.example.app", Manifest: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	now := newClock().t.Truncate(time.Hour)
	start(h, now)
	fill()
	filled := start(h, now.Add(time.Minute))
	for i := 0; !h.behind.Load() && i < 40; i++ { // uses up what the file has to spare
		end(h, filled, now.Add(time.Minute), sandbox.Crashed)
		filled = start(h, now.Add(time.Minute))
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	h, db = historyOn(t, path)
	defer db.Close()
	if err := h.closeStale(now.Add(2 * time.Minute)); err != nil {
		t.Fatalf("it does not start: %v", err)
	}
	if got := reasons(t, h); strings.Contains(got, "open") || !strings.HasPrefix(got, "0 host_closed") {
		t.Errorf("the history is %s", got)
	}
	next := start(h, now.Add(3*time.Minute))
	free()
	if err := h.retry(); err != nil {
		t.Fatal(err)
	}
	if got := reasons(t, h); !strings.HasPrefix(got, "0 host_closed") || !strings.HasSuffix(got, ", 3 open") {
		t.Errorf("with space again the history is %s", got)
	}
	end(h, next, now.Add(3*time.Minute), sandbox.Stopped)
}

// What waits has a bound for each app, and the oldest goes first.
func TestUnwrittenHistoryIsBounded(t *testing.T) {
	h, db := historyOn(t, filepath.Join(t.TempDir(), "store.db"))
	if err := db.PutInstall(store.Install{Install: "app", AppID: "org.example.app", Manifest: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil { // a store that refuses everything
		t.Fatal(err)
	}
	now := newClock().t.Truncate(time.Hour)
	for i := range 2 * maxUnwritten {
		end(h, start(h, now.Add(time.Duration(i)*time.Minute)), now, sandbox.Crashed)
		h.tell(store.Notice{ID: fmt.Sprint(i)})
		h.tell(store.Notice{ID: fmt.Sprint("b", i)})
	}
	if len(h.late) != maxUnwritten || len(h.untold) != maxUntold {
		t.Errorf("%d launches and %d notices wait", len(h.late), len(h.untold))
	}
	l := newLedger(&App{now: time.Now, store: db})
	for range 3 {
		for i := range 2 * maxLedger {
			l.add("app", deed{side: sideProcess, perm: fmt.Sprintf("net:x%d.example.net", i), allowed: true, count: 1})
		}
		if err := l.flush(); err == nil {
			t.Error("a closed store takes the activity")
		}
	}
	total := int64(0)
	for _, e := range l.sum["app"] {
		total += e.Count
	}
	if total != 6*maxLedger || len(l.sum["app"]) > maxLedger+1 {
		t.Errorf("%d uses in %d entries wait, want %d", total, len(l.sum["app"]), 6*maxLedger)
	}
}
