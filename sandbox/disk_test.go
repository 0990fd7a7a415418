package sandbox

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const mb = 1 << 20

var roomy = space{room: math.MaxInt64, inodes: 1_000_000}

// walkedState is a state right after a walk that found used bytes, at time 0.
func walkedState(t *testing.T, used, limit int64, sp space, took time.Duration) (*diskState, time.Time) {
	t.Helper()
	d, now := &diskState{}, time.Unix(1000, 0)
	s := sample{at: now}
	if !d.looked(sp, limit, s, now) {
		t.Fatal("the first look leads to no walk")
	}
	if breach := d.walked(used, sp, limit, s, took, now); breach != nil {
		t.Fatalf("breach %+v", breach)
	}
	return d, now
}

func TestDiskDecisions(t *testing.T) {
	const limit = 100 * mb
	at := func(now time.Time, after time.Duration, writtenMB int64) sample {
		return sample{at: now.Add(after), written: writtenMB * mb}
	}
	for _, c := range []struct {
		name   string
		used   int64
		took   time.Duration
		after  time.Duration
		wrote  int64 // MB since the walk
		sys    time.Duration
		wanted bool
		want   bool
	}{
		{"nothing written", 50, 0, time.Hour, 0, 0, false, false},
		{"written, far from the limit", 50, 0, time.Hour, 40, 0, false, true}, // the free space is looked at, no walk
		{"a little written", 50, 0, time.Hour, 10, 0, false, false},
		{"could be over, long ago", 95, 0, time.Hour, 6, 0, false, true},
		{"could be a little over, walked just now", 95, 0, 100 * time.Millisecond, 5, 0, false, false},
		{"could be far over, walked just now", 85, 0, 100 * time.Millisecond, 15, 0, false, false},
		{"could be very far over, walked just now", 90, 0, 100 * time.Millisecond, 15, 0, false, true},
		{"very far over, the last walk was long", 90, time.Second, 900 * time.Millisecond, 15, 0, false, false},
		{"paced by the last walk's cost", 95, time.Second, 9 * time.Second, 5, 0, false, false},
		{"pace over", 95, time.Second, 10 * time.Second, 5, 0, false, true},
		{"only system time: could be files without data", 50, 0, time.Hour, 0, time.Second, false, true},
		{"somebody looks", 50, 0, time.Hour, 1, 0, true, true},
		{"somebody looks, nothing written", 50, 0, time.Hour, 0, 0, true, false},
		{"somebody looks, walked just now", 50, 0, time.Millisecond, 1, 0, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, now := walkedState(t, c.used*mb, limit, roomy, c.took)
			d.wanted = c.wanted
			s := at(now, c.after, c.wrote)
			s.sys = c.sys
			if got := d.lookDue(limit, s); got != c.want {
				t.Errorf("look due %v, want %v (left %d, space left %d)", got, c.want, d.left(limit, s), d.spaceLeft(s))
			}
			d.walking = true
			if d.lookDue(limit, s) {
				t.Error("a second look is asked for while one runs")
			}
		})
	}
}

// The file system's own count of entries spares an app that works hard without making files most walks. It is not
// trusted for long: what somebody else removes meanwhile would hide what the app makes.
func TestDiskInodes(t *testing.T) {
	const limit = 100 * mb
	d, now := walkedState(t, 10*mb, limit, roomy, 0)
	busy := sample{at: now.Add(walkPause), sys: time.Second}
	if d.looked(roomy, limit, busy, busy.at) {
		t.Error("walked although no entry was made")
	}
	if d.lookDue(limit, busy) {
		t.Error("looks again for the same system time")
	}
	later := busy
	later.at = now.Add(3 * walkPause)
	if !d.lookDue(limit, later) || !d.looked(roomy, limit, later, later.at) {
		t.Error("who removes files elsewhere can hide for ever what the app makes")
	}
	idle := later
	idle.sys = 10 * time.Millisecond // no more than 2,500 entries
	if d.lookDue(limit, idle) {
		t.Error("looks at an app that cannot have made many")
	}
	full := space{room: math.MaxInt64, inodes: roomy.inodes - 25_000}
	if !d.looked(full, limit, busy, busy.at) {
		t.Error("25,000 new entries need no walk")
	}
	d, now = walkedState(t, 10*mb, limit, space{room: math.MaxInt64, inodes: -1}, 0)
	if !d.looked(space{room: math.MaxInt64, inodes: -1}, limit, busy, now.Add(time.Hour)) {
		t.Error("on a file system without a count, system time must lead to a walk")
	}
}

func TestDiskUnknownCounter(t *testing.T) {
	const limit = 100 * mb
	d, now := walkedState(t, 10*mb, limit, roomy, 0)
	d.walkedAt.written, d.roomAt.written = unknownWritten, unknownWritten
	idle := sample{at: now.Add(time.Hour), written: unknownWritten}
	if d.lookDue(limit, idle) {
		t.Error("an idle app is looked at")
	}
	busy := sample{at: now.Add(time.Hour), written: unknownWritten, sys: 100 * time.Millisecond}
	if !d.lookDue(limit, busy) {
		t.Error("a tenth of a second in the system can write 800 MB: must be looked at")
	}
}

// A memory file system does not show in the counter: the same must hold as if there were none.
func TestDiskBlindCounter(t *testing.T) {
	const limit = 100 * mb
	blind := space{room: math.MaxInt64, inodes: 1000, blind: true}
	d, now := walkedState(t, 10*mb, limit, blind, 0)
	busy := sample{at: now.Add(time.Hour), written: 0, sys: 100 * time.Millisecond}
	if !d.lookDue(limit, busy) {
		t.Error("not looked at")
	}
	if !d.looked(blind, limit, busy, busy.at) {
		t.Error("not walked")
	}
}

// On a file system that is too full an app may run, and write in place, but not grow.
func TestFreeSpaceGuard(t *testing.T) {
	const limit = 100 * mb
	low := space{room: -50 * mb, inodes: -1}
	d, now := walkedState(t, 30*mb, limit, low, 0)
	if d.looked(low, limit, sample{at: now.Add(time.Hour), written: mb / 2}, now.Add(time.Hour)) {
		t.Error("walked for an app that wrote next to nothing")
	}
	later := func(hours time.Duration, held int64, sp space) *Breach {
		t.Helper()
		s := sample{at: now.Add(hours * time.Hour), written: int64(hours) * 2 * mb}
		if !d.lookDue(limit, s) {
			t.Error("a writer on a full file system is not looked at")
		}
		if !d.looked(sp, limit, s, s.at) && sp.room <= 0 {
			t.Error("a writer on a full file system is not walked")
		}
		return d.walked(held, sp, limit, s, 0, s.at)
	}
	if breach := later(1, 30*mb, low); breach != nil {
		t.Errorf("ended although it does not grow: %+v", breach)
	}
	if breach := later(2, 30*mb+lowStep/2, low); breach != nil {
		t.Errorf("ended for half a step: %+v", breach)
	}
	if breach := later(3, 33*mb, low); breach == nil || breach.Limit != 30*mb || breach.Measured != 33*mb || breach.Budget != BudgetDisk {
		t.Errorf("breach %+v", breach)
	}
	d, now = walkedState(t, 30*mb, limit, low, 0)
	later(1, 30*mb, low)
	s := sample{at: now.Add(2 * time.Hour), written: 20 * mb}
	d.looked(roomy, limit, s, s.at)
	if breach := d.walked(60*mb, roomy, limit, s, 0, s.at); breach != nil {
		t.Errorf("ended although there is room again: %+v", breach)
	}
	for total, want := range map[uint64]int64{0: 0, 1 << 30: (1 << 30) / 20, 1 << 40: 1 << 30, math.MaxUint64: 1 << 30} {
		if got := keepFree(total); got != want {
			t.Errorf("keep %d of %d, want %d", got, total, want)
		}
	}
}

// Processor time of any kind leads to a look at the free space where bytes are not counted: system time in ticks would
// let a slow writer fill the file system unseen.
func TestFreeSpaceBlind(t *testing.T) {
	const limit = 100 * mb
	sp := space{free: 20 * mb, room: 5 * mb, inodes: 1000, blind: true}
	d, now := walkedState(t, 10*mb, limit, sp, 0)
	s := sample{at: now.Add(2 * walkPause), cpu: time.Millisecond}
	if !d.lookDue(limit, s) {
		t.Error("not looked at")
	}
	s.cpu = 0
	if d.lookDue(limit, s) {
		t.Error("an idle app is looked at")
	}
}

// Who fills the file system to the last byte between two looks cannot grow any more, and is ended all the same.
func TestFreeSpaceFilledAtOnce(t *testing.T) {
	const limit = 100 * mb
	none := space{room: -50 * mb, inodes: -1}
	for grown, want := range map[int64]bool{0: false, 20 * mb: true} {
		d, now := walkedState(t, 30*mb, limit, space{free: 55 * mb, room: 5 * mb, inodes: -1}, 0)
		s := sample{at: now.Add(time.Hour), written: 20 * mb}
		if !d.looked(none, limit, s, s.at) {
			t.Error("not walked")
		}
		if breach := d.walked(30*mb+grown, none, limit, s, 0, s.at); (breach != nil) != want {
			t.Errorf("grown by %d: breach %+v", grown, breach)
		}
	}
}

// Only counted bytes stop an app, and a stopped one is always looked at.
func TestDiskHold(t *testing.T) {
	const limit = 100 * mb
	d, now := walkedState(t, 90*mb, limit, roomy, time.Second)
	s := sample{at: now.Add(time.Millisecond), sys: time.Hour}
	if d.holdDue(limit, s) {
		t.Error("stopped for system time")
	}
	s.sys, s.written = 0, 5*mb
	if d.holdDue(limit, s) {
		t.Error("stopped below the limit")
	}
	s.written = 13 * mb
	if !d.holdDue(limit, s) {
		t.Error("not stopped above the limit")
	}
	d.held = true
	if d.holdDue(limit, s) {
		t.Error("stopped twice")
	}
	if d.lookDue(limit, s) {
		t.Error("walks may take all of the time")
	}
	s.at = now.Add(2 * time.Second)
	if !d.lookDue(limit, s) {
		t.Error("not looked at")
	}
	s.written = 0
	s.at = now
	if !d.lookDue(limit, s) {
		t.Error("one that was stopped while a look ran is forgotten")
	}
}

// An app that could be over its limit by more than the overdraft is never left unwatched for longer than a walk takes.
func TestDiskNeverBlind(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		limit := rapid.Int64Range(mb, 20<<30).Draw(rt, "limit")
		used := rapid.Int64Range(0, limit).Draw(rt, "used")
		took := time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(rt, "took"))
		d, now := walkedState(t, used, limit, roomy, took)
		s := sample{
			at:      now.Add(time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(rt, "after"))),
			written: rapid.Int64Range(0, 40<<30).Draw(rt, "written"),
		}
		over := used + s.written - limit - limit/overdraft
		if over >= 0 && s.at.After(now.Add(took)) && !d.lookDue(limit, s) {
			rt.Fatalf("%d bytes over and no look", over)
		}
		if wait := d.wait(limit, s); wait < writeMin || wait > pollMax {
			rt.Fatalf("wait %v", wait)
		}
	})
}

func TestReadSpace(t *testing.T) {
	here := readSpace([]string{t.TempDir(), t.TempDir()})
	if here.room == math.MaxInt64 || here.room == 0 {
		t.Errorf("room %d", here.room)
	}
	if none := readSpace([]string{"/does/not/exist"}); none.room != math.MaxInt64 || none.inodes >= 0 {
		t.Errorf("a folder that cannot be asked gives %+v", none)
	}
}
