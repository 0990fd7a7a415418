package sandbox

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Budget is what one running instance may use. The zero value of each field means the default, never "unlimited", and
// nothing above MaxBudget is ever enforced as wider than MaxBudget.
type Budget struct {
	MemoryBytes  int64         // resident memory, bytes; default 256 MiB
	CPUPercent   float64       // sustained use, percent of one core; default 50
	CPUBurst     float64       // core-seconds an idle app saves up for a burst; default 3
	DiskBytes    int64         // blocks held by data, runtime files and log together, bytes; default 1 GiB
	Workers      int           // JavaScript workers, 1 to 8; 0 means the default of 2, -1 means none
	StartTimeout time.Duration // from spawn to the first answer; default 30 s
	LogBytes     int64         // kept output, bytes; default 4 MiB
}

// DefaultBudget is what a zero Budget means.
func DefaultBudget() Budget {
	return Budget{
		MemoryBytes: 256 << 20, CPUPercent: 50, CPUBurst: 3, DiskBytes: 1 << 30,
		Workers: 2, StartTimeout: 30 * time.Second, LogBytes: 4 << 20,
	}
}

// MaxBudget is the widest budget that can be given to an app.
func MaxBudget() Budget {
	return Budget{
		MemoryBytes: 2 << 30, CPUPercent: 200, CPUBurst: 60, DiskBytes: 20 << 30,
		Workers: 8, StartTimeout: 5 * time.Minute, LogBytes: 64 << 20,
	}
}

// WithDefaults returns b with every unset or senseless field (zero, negative, not a number) set to its default and every
// field above MaxBudget cut to it. It is idempotent.
func (b Budget) WithDefaults() Budget {
	def, most := DefaultBudget(), MaxBudget()
	b.MemoryBytes = within(b.MemoryBytes, def.MemoryBytes, most.MemoryBytes)
	b.CPUPercent = within(b.CPUPercent, def.CPUPercent, most.CPUPercent)
	b.CPUBurst = within(b.CPUBurst, def.CPUBurst, most.CPUBurst)
	b.DiskBytes = within(b.DiskBytes, def.DiskBytes, most.DiskBytes)
	b.StartTimeout = within(b.StartTimeout, def.StartTimeout, most.StartTimeout)
	b.LogBytes = within(b.LogBytes, def.LogBytes, most.LogBytes)
	switch {
	case b.Workers == 0:
		b.Workers = def.Workers
	case b.Workers < 0:
		b.Workers = -1
	default:
		b.Workers = min(b.Workers, most.Workers)
	}
	return b
}

// WorkerCount is the number of workers the budget allows, 0 to 8.
func (b Budget) WorkerCount() int { return max(b.WithDefaults().Workers, 0) }

// Check says what in b lies outside the limits that WithDefaults would silently apply, for callers that have somebody
// to tell. Zero fields are fine: they mean the default.
func (b Budget) Check() error {
	most := MaxBudget()
	var errs []error
	outside := func(bad bool, what, limit string) {
		if bad {
			errs = append(errs, fmt.Errorf("%s must be between 0 (the default) and %s", what, limit))
		}
	}
	outside(b.MemoryBytes < 0 || b.MemoryBytes > most.MemoryBytes, "memory", "2 GiB")
	outside(!(b.CPUPercent >= 0 && b.CPUPercent <= most.CPUPercent), "cpu", "200 percent of one core")
	outside(!(b.CPUBurst >= 0 && b.CPUBurst <= most.CPUBurst), "cpu burst", "60 core-seconds")
	outside(b.DiskBytes < 0 || b.DiskBytes > most.DiskBytes, "disk", "20 GiB")
	outside(b.StartTimeout < 0 || b.StartTimeout > most.StartTimeout, "start time", "5 minutes")
	outside(b.LogBytes < 0 || b.LogBytes > most.LogBytes, "log", "64 MiB")
	if b.Workers < -1 || b.Workers > most.Workers {
		errs = append(errs, errors.New("workers must be between -1 (none) and 8, 0 meaning the default"))
	}
	return errors.Join(errs...)
}

// within is v limited to (0, most], or def when v is no positive number at all (which includes NaN).
func within[T int64 | float64 | time.Duration](v, def, most T) T {
	if !(v > 0) {
		return def
	}
	return min(v, most)
}

// The budgets a Breach can name; the same words as in the command line's history.
const (
	BudgetMemory    = "memory"
	BudgetCPU       = "cpu"
	BudgetDisk      = "disk"
	BudgetProcesses = "processes"
)

// maxThreads bounds the threads of an app, which the kernel counts as processes and keeps memory of its own for. Deno
// runs about seven, and up to 512 more for blocking calls when an app makes as many at once.
const maxThreads = 1024

// Breach is a budget that was crossed. Limit and Measured are bytes for memory and disk, core-seconds for CPU (what the
// token bucket had allowed, and what was used, since it was last full), and threads for processes.
type Breach struct {
	Budget          string
	Limit, Measured float64
}

// noun is the budget as people would call it: an app is one process, and what the kernel counts as processes are its threads.
func (b Breach) noun() string {
	if b.Budget == BudgetProcesses {
		return "thread"
	}
	return b.Budget
}

// Usage is what an instance uses now, as of the last sample.
type Usage struct {
	CPUPercent      float64 // of one core, over about the last second
	CPUSeconds      float64 // since the instance started
	MemoryBytes     int64   // resident memory: the figure the memory budget is held against
	PeakMemoryBytes int64   // the highest MemoryBytes any sample saw
	AnonBytes       int64   // the part of MemoryBytes that is not shared with other programs; 0 where the system does not tell
	DiskBytes       int64   // as of the last walk
	Threads         int
	AtMemoryWall    bool // the last sample saw the address space within wallSlack of the kernel's limit (RLIMIT_DATA)
}

// sample is one reading of one process.
type sample struct {
	at        time.Time
	rss       int64         // bytes
	anon      int64         // bytes; 0 where unknown
	data      int64         // bytes of private writable address space (VmData); 0 where unknown
	dataLimit int64         // the kernel's limit on data (RLIMIT_DATA), bytes; 0 where there is none
	cpu       time.Duration // user and system time of all threads, ended ones included
	clock     time.Duration // the same by the process's own clock, to the nanosecond; 0 where unknown
	sys       time.Duration // the system part of cpu
	written   int64         // bytes sent towards storage since the process started; unknownWritten where not counted
	threads   int
}

// Polling bounds and the worst growth the polling assumes: a writer or allocator was measured at up to 2 GB/s, and
// assuming the worst rate beat estimating it (7-16 MB overshoot against up to 287 MB).
const (
	pollMin   = 10 * time.Millisecond
	pollMax   = 250 * time.Millisecond
	worstRate = 2e9 // bytes per second
	// A file was written at up to 4.7 GB/s into the page cache (Linux 6.18, two cores), and a wake-up may come late: an
	// app near its limit that is writing is sampled more often than one that only could.
	writeMin     = 2 * time.Millisecond
	restMin      = 5 * time.Millisecond
	writeRate    = 5e9 // bytes per second
	worstWrite   = 8e9 // bytes per second of system time: what the kernel can copy or map at most
	wallSlack    = 8 << 20
	wallPatience = time.Second
	// An app that is read this rarely is first asked whether it did anything at all. The clock of a process that has set
	// itself a timer on it runs behind by up to a tick of the kernel, 10 ms at most (kernel/time/posix-cpu-timers.c).
	restWait = 40 * time.Millisecond
	restLag  = 10 * time.Millisecond
	restLook = 2 * time.Second
)

// headroomWait is how long an app with that many bytes left cannot cross its limit, between pollMin and pollMax.
func headroomWait(left int64) time.Duration {
	if left <= 0 {
		return pollMin
	}
	return clampPoll(float64(left) / worstRate)
}

// writeWait is headroomWait for an app that many bytes below its disk limit. writing says that it has written since
// the last sample.
func writeWait(left int64, writing bool) time.Duration {
	least := restMin
	if writing {
		least = writeMin
	}
	return min(max(time.Duration(float64(left)/writeRate*float64(time.Second)), least), pollMax)
}

// clampPoll turns seconds into a polling interval.
func clampPoll(seconds float64) time.Duration {
	if !(seconds < pollMax.Seconds()) {
		return pollMax
	}
	return max(time.Duration(seconds*float64(time.Second)), pollMin)
}

// bucket is the CPU budget as a token bucket in core-seconds: exact in CPU time whatever the load of the machine.
// The zero bucket is full.
type bucket struct {
	allowed float64 // burst plus what flowed in since the bucket was last full
	used    float64 // taken since then
}

// tokens is what is left, at most burst.
func (k bucket) tokens(burst float64) float64 {
	if k == (bucket{}) {
		return burst
	}
	return math.Min(burst, k.allowed-k.used)
}

// take lets time pass and CPU be used: tokens = min(burst, tokens + rate·dt) − used. rate is cores, burst and used
// are core-seconds. Going below zero is a breach, which the second result describes.
func (k bucket) take(rate, burst float64, dt time.Duration, used time.Duration) (bucket, *Breach) {
	dt, used = max(dt, 0), max(used, 0)
	if k == (bucket{}) || k.allowed-k.used+rate*dt.Seconds() >= burst {
		k = bucket{allowed: burst}
	} else {
		k.allowed += rate * dt.Seconds()
	}
	k.used += used.Seconds()
	if k.used > k.allowed {
		return k, &Breach{Budget: BudgetCPU, Limit: k.allowed, Measured: k.used}
	}
	return k, nil
}

// wait is how long this bucket cannot run dry when cores cores are busy.
func (k bucket) wait(rate, burst float64, cores int) time.Duration {
	drain := float64(cores) - rate
	if drain <= 0 {
		return pollMax
	}
	return clampPoll(k.tokens(burst) / drain)
}
