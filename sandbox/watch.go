package sandbox

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"time"
)

// watched is one instance as the watchdog sees it. The methods are called from the watchdog's goroutines and must be
// safe for concurrent use; the watchdog holds no lock meanwhile. pid, budget, diskPaths and hold must return at once;
// breached may take its time.
type watched interface {
	pid() int
	budget() Budget      // the budget now; asked again for each sample, so that a change needs no notice
	diskPaths() []string // the folders whose blocks count: data, runtime, log
	breached(b Breach)   // called at most once per add; the instance ends its whole group and keeps b
	hold(stop bool)      // stops the process from running, and lets it go on; it can fail, and the app runs on then
}

// watchdog holds every instance to its budget. One goroutine reads all processes, each as often as its headroom
// demands (pollMin to pollMax, see headroomWait); a second one walks folders, because a walk may take seconds and a
// file system may hang. A breach is told to the instance, which ends itself.
type watchdog struct {
	log   *slog.Logger
	cores int

	mu      sync.Mutex
	targets map[int]*target
	queue   []*target // waiting for a walk
	batch   []*target // the sampling goroutine's own, kept to save allocations
	closed  bool

	changed chan struct{} // wakes the sampling goroutine
	queued  chan struct{} // wakes the walking goroutine
	ctx     context.Context
	cancel  context.CancelFunc
	loops   sync.WaitGroup // the two goroutines
	calls   sync.WaitGroup // running breached callbacks
}

// target is one instance under watch. Its fields are guarded by watchdog.mu; its sampler is used under that lock only.
type target struct {
	in      watched
	pid     int
	sampler sampler
	due     time.Time
	wait    time.Duration // between the last sample and due

	last   sample
	read   time.Time // when last was read in full
	mark   sample    // the sample that percent counts from
	usage  Usage
	bucket bucket
	atWall time.Time // since when it has sat at the kernel's memory wall
	disk   diskState
	told   bool // the breach has been reported: nothing more to do
	gone   bool // the process has ended
	rests  bool // it is frozen: nothing about it can change
}

// newWatchdog starts a watchdog, which must be closed.
func newWatchdog(log *slog.Logger) *watchdog {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &watchdog{
		log: log, cores: runtime.NumCPU(), targets: map[int]*target{},
		changed: make(chan struct{}, 1), queued: make(chan struct{}, 1), ctx: ctx, cancel: cancel,
	}
	w.loops.Go(w.sampleLoop)
	w.loops.Go(w.walkLoop)
	return w
}

// add starts watching in, as soon as its process exists: what the app does before it answers counts too. An instance
// whose process cannot be read (it has ended already) is kept, unwatched, until it is removed.
func (w *watchdog) add(in watched) {
	pid := in.pid()
	t := &target{in: in, pid: pid, mark: sample{at: time.Now()}}
	s, err := openSampler(pid)
	if err != nil {
		t.gone = true
		w.log.Debug("not watching", "pid", pid, "error", err)
	}
	t.sampler = s

	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		t.release()
		return
	}
	if old := w.targets[pid]; old != nil { // the number was used again before the old instance was removed
		old.release()
	}
	w.targets[pid] = t
	if !t.gone {
		w.enqueue(t)
	}
	signal(w.changed)
}

// remove stops watching the process and gives its last figures. Unknown numbers are ignored.
func (w *watchdog) remove(pid int) Usage {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.targets[pid]
	if t == nil {
		return Usage{}
	}
	delete(w.targets, pid)
	t.release()
	return t.usage
}

// usage gives the figures of the last sample. Asking also makes a stale disk figure be renewed in the background.
func (w *watchdog) usage(pid int) Usage {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.targets[pid]
	if t == nil {
		return Usage{}
	}
	t.disk.wanted = true
	return t.usage
}

// close stops watching everything and waits for the goroutines and for running breached calls. A file system that hangs
// can hold it up for as long as one call into it takes.
func (w *watchdog) close() {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return
	}
	w.closed = true
	w.mu.Unlock()
	w.cancel()
	w.loops.Wait()
	w.calls.Wait()
	var held []*target
	w.mu.Lock()
	for pid, t := range w.targets {
		if t.disk.held {
			held = append(held, t)
		}
		t.release()
		delete(w.targets, pid)
	}
	w.mu.Unlock()
	for _, t := range held { // the walk that it waited for will not come
		t.in.hold(false)
	}
}

// release ends the watch on a process; the figures stay.
func (t *target) release() {
	t.gone = true
	if t.sampler != nil {
		t.sampler.close()
		t.sampler = nil
	}
}

// signal leaves a wake-up for a goroutine that may be busy; one is as good as many.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (w *watchdog) sampleLoop() {
	timer := time.NewTimer(pollMax)
	defer timer.Stop()
	for {
		timer.Reset(w.sampleDue())
		select {
		case <-w.ctx.Done():
			return
		case <-w.changed:
		case <-timer.C:
		}
	}
}

// sampleDue reads every process whose time has come and says how long nothing will be due. A process whose turn comes
// within half of its wait is read together with the others: of two that take turns one is always that near, so all
// apps at rest soon share one wake-up, ten a second with a budget of 256 MB, and not ten for each.
func (w *watchdog) sampleDue() time.Duration {
	now := time.Now()
	w.mu.Lock()
	w.batch = w.batch[:0]
	for _, t := range w.targets {
		if t.active() && t.due.Sub(now) <= t.wait/2 {
			w.batch = append(w.batch, t)
		}
	}
	w.mu.Unlock()

	for _, t := range w.batch {
		b := t.in.budget().WithDefaults() // not under our lock: the instance may hold its own while it calls us
		w.mu.Lock()
		stop := t.active() && w.sampleOne(t, b)
		w.mu.Unlock()
		if stop {
			w.stop(t, b.DiskBytes)
		}
	}

	w.mu.Lock()
	defer w.mu.Unlock()
	next := now.Add(time.Hour)
	for _, t := range w.targets {
		if t.active() && t.due.Before(next) {
			next = t.due
		}
	}
	return max(time.Until(next), 0)
}

// active says that there is something to sample.
func (t *target) active() bool { return !t.gone && !t.told && !t.rests }

// rest says whether the process is frozen. A frozen one is not looked at, and costs the agent nothing; the first look
// after that comes at once.
func (w *watchdog) rest(pid int, rests bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.targets[pid]
	if t == nil || t.rests == rests {
		return
	}
	t.rests = rests
	if !rests {
		t.due = time.Time{}
		signal(w.changed)
	}
}

// look reads the process. One that has used no processor time since it was last read is as it was then: neither memory
// nor storage nor threads come from nothing. To ask costs 4 µs and to read 25, as neither is
// in the processor's caches by then; every restLook it is read all the same.
func (t *target) look() (s sample, rested bool, err error) {
	now := time.Now()
	if t.wait >= restWait && now.Sub(t.read) < restLook && t.sampler.rested(t.last) {
		s = t.last
		s.at = now
		return s, true, nil
	}
	s, err = t.sampler.sample()
	t.read = s.at
	return s, false, err
}

// sampleOne reads one process, updates its figures and acts on them. It says whether the process must be stopped until
// its folders are counted.
func (w *watchdog) sampleOne(t *target, b Budget) (stop bool) {
	s, rested, err := t.look()
	if err != nil {
		if !errors.Is(err, errGone) {
			w.log.Warn("cannot read a running app; its budgets are not held", "pid", t.pid, "error", err)
		}
		t.release()
		if t.disk.held {
			w.enqueue(t) // there it is let go
		}
		return false
	}
	wait, breach := t.judge(s, b, w.cores)
	if breach != nil {
		w.tell(t, *breach)
		return false
	}
	if rested {
		wait = max(wait-restLag, pollMin)
	}
	t.wait, t.due = wait, s.at.Add(wait)
	if t.disk.holdDue(b.DiskBytes, s) {
		return true
	}
	if t.disk.lookDue(b.DiskBytes, s) {
		w.enqueue(t)
	}
	return false
}

// judge takes a new sample into the figures, and says what it broke or how soon the next one is needed.
func (t *target) judge(s sample, b Budget, cores int) (time.Duration, *Breach) {
	prev := t.last
	first := prev.at.IsZero()
	t.last = s
	t.usage.update(&t.mark, s)

	if s.rss > b.MemoryBytes {
		return 0, &Breach{Budget: BudgetMemory, Limit: float64(b.MemoryBytes), Measured: float64(s.rss)}
	}
	if s.threads > maxThreads {
		return 0, &Breach{Budget: BudgetProcesses, Limit: maxThreads, Measured: float64(s.threads)}
	}
	wait := headroomWait(b.MemoryBytes - s.rss)
	if t.usage.AtMemoryWall {
		if t.atWall.IsZero() {
			t.atWall = s.at
		}
		if s.at.Sub(t.atWall) >= wallPatience {
			measured := b.MemoryBytes - (s.dataLimit - s.data)
			return 0, &Breach{Budget: BudgetMemory, Limit: float64(b.MemoryBytes), Measured: float64(measured)}
		}
	} else {
		t.atWall = time.Time{}
	}

	// What ran before the first sample counts too, against the full bucket.
	var dt time.Duration
	if !first {
		dt = s.at.Sub(prev.at)
	}
	rate := b.CPUPercent / 100
	var breach *Breach
	if t.bucket, breach = t.bucket.take(rate, b.CPUBurst, dt, s.cpu-prev.cpu); breach != nil {
		return 0, breach
	}
	wait = min(wait, t.bucket.wait(rate, b.CPUBurst, cores))
	return min(wait, t.disk.wait(b.DiskBytes, s)), nil
}

// update takes a sample into the figures. mark is where the percentage counts from: a sample at least a second old.
func (u *Usage) update(mark *sample, s sample) {
	if dt := s.at.Sub(mark.at); dt >= time.Second {
		u.CPUPercent = 100 * max(s.cpu-mark.cpu, 0).Seconds() / dt.Seconds()
		*mark = s
	}
	u.CPUSeconds = s.cpu.Seconds()
	u.MemoryBytes, u.AnonBytes, u.Threads = s.rss, s.anon, s.threads
	u.PeakMemoryBytes = max(u.PeakMemoryBytes, s.rss)
	u.AtMemoryWall = s.dataLimit > 0 && s.data+wallSlack >= s.dataLimit
}

// tell reports a breach to its instance, once, from a goroutine of its own: a slow instance delays nobody else.
func (w *watchdog) tell(t *target, b Breach) {
	if t.told || t.gone {
		return
	}
	t.told = true
	w.log.Info("over budget", "pid", t.pid, "budget", b.Budget, "limit", b.Limit, "measured", b.Measured)
	w.calls.Go(func() { t.in.breached(b) })
}
