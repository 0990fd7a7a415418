package sandbox

import (
	"fmt"
	"math"
	"time"

	"github.com/shirou/gopsutil/v3/disk"
)

// How disk use is held to its budget without a quota of the file system. A walk over the app's folders counts blocks,
// but may take seconds, so it is not done on a timer. Between walks the kernel's own counters say how much can have
// been added at most: bytes sent to storage (exact, as the seccomp filter keeps fallocate from going around it), and
// system time, without which no file can be made. Only when that could cross the limit is there another look. When the
// bytes that were sent prove that the limit could be crossed by more than the overdraft, the app is stopped until it is
// counted: a walk, the way to it and the end take longer than a fast writer needs for 40 MB.

const (
	// inodeCost is the least a file, folder or link counts, so that a budget bounds their number too: twelve seconds of
	// making empty files were measured to take 5 MB of blocks and leave half a million inodes used.
	inodeCost = 4096
	// inodeTime is less system time than making an entry takes anywhere (measured: 8 µs on ext4 and tmpfs).
	inodeTime = 4 * time.Microsecond
	// spaceStep is how much an app may write before the free space is asked for again.
	spaceStep = 16 << 20
	// lowStep is how much an app may still grow when the file system is too full: it has to write down why it ends.
	lowStep = 1 << 20
	// staleStep is how much must have been written for a figure that somebody looks at to be worth a new walk.
	staleStep = 64 << 10
	// walkPause and walkShare keep walks to a tenth of one core.
	walkPause = time.Second
	walkShare = 10
	// overdraft is the part of the limit that an app may possibly be over it, by the counters, while walks are paced:
	// without it an app that rewrites its files in place right below its limit would be walked all the time.
	overdraft = 50
)

// diskState is what is known about an app's disk use, and decides when to look again. It is pure.
type diskState struct {
	walking bool // a look is queued or running
	held    bool // the process is stopped until a look has ended
	wanted  bool // somebody reads the figure

	blind    bool          // the file system keeps writes out of the process's counter, as of the last look
	used     int64         // bytes, as of the last walk
	walkedAt sample        // the sample before that walk: growth counts from here
	took     time.Duration // what the walk cost
	ended    time.Time     // when it ended

	madeFree int64         // free inodes of the file system at the last walk; negative where it has no such number
	seen     int64         // sample.written at the last sample
	made     int64         // entries that the file system says were made between the last walk and madeAt
	madeAt   time.Duration // system time of the process when made was read

	room   int64  // bytes until the file system is too full, as of roomAt
	roomAt sample // when room was read
	low    bool   // it was too full there, and the app had written
	full   bool   // the file system was too full at the last walk
	had    int64  // what the app held when that began: it may not grow from there
}

// space is what a file system has left for apps.
type space struct {
	free   int64 // bytes
	room   int64 // bytes until it is too full; negative when it is already
	inodes int64 // free inodes; negative where the file system has no such number
	blind  bool  // writes to it may be missing in the process's counter
}

// written is the most that can have been sent to storage between two samples. Where the system does not count that, it
// is what can be written in the system time that passed.
func (d *diskState) written(from, to sample) int64 {
	if d.blind || from.written < 0 || to.written < 0 {
		return int64(max(to.sys-from.sys, 0).Seconds() * worstWrite)
	}
	return max(to.written-from.written, 0)
}

// grown is the most that the app can have added since the last walk, bytes. Counted bytes were up to 5 % below the
// blocks they became.
func (d *diskState) grown(s sample) int64 {
	made := d.made + int64(max(s.sys-d.madeAt, 0)/inodeTime)
	return blocksOf(d.written(d.walkedAt, s)) + made*inodeCost
}

func blocksOf(written int64) int64 { return written + written/20 }

// left is how much may be added before the limit could be crossed, bytes, negative when it could be crossed already.
func (d *diskState) left(limit int64, s sample) int64 { return limit - d.used - d.grown(s) }

// spaceLeft is how much may be written before the file system's free space must be read again.
func (d *diskState) spaceLeft(s sample) int64 {
	step := min(d.room, spaceStep)
	if d.room <= 0 {
		step = lowStep
	}
	return step - d.poured(s)
}

// poured is the most that can have been written since the free space was read. Where bytes are not counted, system time
// will not do: the kernel rounds it to hundredths of a second, each enough for 80 MB, and often books it as the
// program's own. All processor time is known exactly, and to read the free space for nothing costs little.
func (d *diskState) poured(s sample) int64 {
	if d.blind || d.roomAt.written < 0 || s.written < 0 {
		return int64(max(s.cpu-d.roomAt.cpu, 0).Seconds() * worstWrite)
	}
	return d.written(d.roomAt, s)
}

// holdDue says whether the process must be stopped before it is counted. Only counted bytes are reason enough: system
// time is far too crude to stop an app for it.
func (d *diskState) holdDue(limit int64, s sample) bool {
	if d.held || d.ended.IsZero() || d.blind || d.walkedAt.written < 0 || s.written < 0 {
		return false
	}
	return limit-d.used-blocksOf(d.written(d.walkedAt, s)) <= -limit/overdraft
}

// paced says that the last walk is so recent that another needs a good reason.
func (d *diskState) paced(now time.Time) bool {
	return now.Before(d.ended.Add(max(walkPause, walkShare*d.took)))
}

// lookDue says whether the walking goroutine must look at this app now.
func (d *diskState) lookDue(limit int64, s sample) bool {
	if d.held && !d.walking { // it waits for a look, however that ends
		return d.left(limit, s) > -limit/overdraft || d.walkDue(limit, s, s.at)
	}
	return !d.walking && (d.spaceLeft(s) <= 0 || d.walkDue(limit, s, s.at))
}

// walkDue says whether the folders must be walked now, going by what is known.
func (d *diskState) walkDue(limit int64, s sample, now time.Time) bool {
	switch left := d.left(limit, s); {
	case left <= -limit/overdraft:
		return !now.Before(d.ended.Add(d.took))
	case left <= 0:
		return !d.paced(now)
	case left-d.hidden(s) <= 0:
		return !now.Before(d.ended.Add(max(2*walkPause, 2*walkShare*d.took)))
	default:
		return d.wanted && d.written(d.walkedAt, s) >= staleStep && !d.paced(now)
	}
}

// hidden is how much more the app may have added than the file system's free inodes tell: what somebody else removes
// at the same time hides what is made. System time cannot be hidden.
func (d *diskState) hidden(s sample) int64 {
	most := int64(max(s.sys-d.walkedAt.sys, 0) / inodeTime)
	told := d.made + int64(max(s.sys-d.madeAt, 0)/inodeTime)
	return max(most-told, 0) * inodeCost
}

// wait is how long this state cannot call for a look.
func (d *diskState) wait(limit int64, s sample) time.Duration {
	if d.held {
		if d.walking {
			return pollMax // the end of the look wakes the sampler
		}
		return pollMin // a walk that may not follow the last one at once
	}
	left := d.left(limit, s)
	if left <= 0 {
		left += limit / overdraft
	}
	soon := writeWait(left, s.written != d.seen)
	d.seen = s.written
	// When the free space must be read again is another question than how soon it can be used up: with a step of
	// some MiB in place of the room every app would be sampled a hundred times a second.
	room := d.spaceLeft(s)
	if d.room > 0 {
		room = d.room - d.poured(s)
	}
	switch {
	case d.walking && d.blind:
		return pollMax // the end of the look wakes the sampler
	case d.walking:
		return soon // who crosses the limit meanwhile is stopped
	}
	return min(soon, headroomWait(room))
}

// looked takes in a reading of the file system, and says whether a walk must follow.
func (d *diskState) looked(sp space, limit int64, s sample, now time.Time) (walk bool) {
	low := sp.room <= 0 && d.poured(s) >= lowStep // it may be what fills the file system
	d.low = low
	d.blind, d.room, d.roomAt = sp.blind, sp.room, s
	if d.ended.IsZero() {
		return true
	}
	// System time is a crude bound on how many entries were made; the file system knows better, where it counts.
	if sp.inodes >= 0 && d.madeFree >= 0 {
		d.made, d.madeAt = max(d.madeFree-sp.inodes, 0), s.sys
	}
	return low && !d.paced(now) || d.walkDue(limit, s, now)
}

// walked takes in what a walk counted.
func (d *diskState) walked(total int64, sp space, limit int64, before sample, took time.Duration, now time.Time) *Breach {
	more := total - d.used
	first := d.ended.IsZero()
	d.used, d.walkedAt, d.took, d.ended = total, before, took, now
	d.madeFree, d.made, d.madeAt = sp.inodes, 0, before.sys
	d.wanted = false
	switch {
	case total > limit:
		return &Breach{Budget: BudgetDisk, Limit: float64(limit), Measured: float64(total)}
	case sp.room > 0:
		d.full, d.had = false, 0
	case !d.full && sp.free < lowStep && d.low && more >= lowStep && !first:
		// It wrote until nothing at all was left, between two looks: it cannot go on growing.
		return &Breach{Budget: BudgetDisk, Limit: float64(total - more), Measured: float64(total)}
	case !d.full:
		d.full, d.had = true, total
	case total-d.had >= lowStep: // it went on growing
		return &Breach{Budget: BudgetDisk, Limit: float64(d.had), Measured: float64(total)}
	}
	return nil
}

// keepFree is what apps must leave free on a file system of that size: 1 GiB, or 5 % where that is less. More would
// stop every app on a large disk that its owner keeps nearly full.
func keepFree(total uint64) int64 { return int64(min(total/20, 1<<30)) }

// Room is how many bytes are free on the file system of dir, and how many of them may be written before no app is started
// on it any more: what is free beyond that which apps must leave, negative on a disk that is fuller than that.
func Room(dir string) (free, room int64, err error) {
	u, err := disk.Usage(dir)
	if err != nil {
		return 0, 0, fmt.Errorf("ask for the free space of %s: %w", dir, err)
	}
	free = int64(min(u.Free, math.MaxInt64))
	return free, free - keepFree(u.Total), nil
}

// readSpace asks the file systems of the folders; a folder that cannot be asked is left out. It can block for as long
// as the file system does.
func readSpace(paths []string) space {
	sp := space{free: math.MaxInt64, room: math.MaxInt64, inodes: -1}
	var last disk.UsageStat
	for _, path := range paths {
		u, err := disk.Usage(path)
		if err != nil || u.Total == 0 {
			continue
		}
		sp.blind = sp.blind || !countsWrites(path)
		free := int64(min(u.Free, math.MaxInt64))
		sp.free, sp.room = min(sp.free, free), min(sp.room, free-keepFree(u.Total))
		same := u.Total == last.Total && u.Free == last.Free && u.InodesFree == last.InodesFree
		if u.InodesTotal > 0 && !same {
			sp.inodes = max(sp.inodes, 0) + int64(u.InodesFree)
		}
		last = *u
	}
	return sp
}

// tally adds up what a walk finds.
type tally struct {
	total   int64
	stopAt  int64              // no need to go on above this
	crossed time.Time          // when total went above stopAt
	linked  map[inode]struct{} // files with several names that were counted
	entries int
}

type inode struct{ device, number uint64 }

// add counts one entry that holds blocks bytes. A file that has several names, or that can be met twice in another
// way, is counted once.
func (y *tally) add(bytes int64, shared bool, id inode) {
	y.entries++
	if shared {
		if _, ok := y.linked[id]; ok {
			return
		}
		if y.linked == nil {
			y.linked = map[inode]struct{}{}
		}
		y.linked[id] = struct{}{}
	}
	y.total += max(bytes, inodeCost)
	if y.total > y.stopAt && y.crossed.IsZero() {
		y.crossed = time.Now()
	}
}

// enough says that the limit is crossed; a moment more is spent so that the figure shown is not always limit plus one
// block. As every entry costs at least inodeCost, a walk is bounded by the budget, whatever an app puts in its way.
func (y *tally) enough() bool {
	return !y.crossed.IsZero() && y.entries%64 == 0 && time.Since(y.crossed) > 20*time.Millisecond
}
