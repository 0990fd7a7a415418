package sandbox

import (
	"errors"
	"fmt"
	"time"

	"github.com/shirou/gopsutil/v3/process"
)

// sampler reads one process. It holds what makes repeated reading cheap and is used by one goroutine at a time.
type sampler interface {
	// sample fails with errGone once the process has ended, also when it has not been waited for yet.
	sample() (sample, error)
	// rested reports whether the process is known to have used no processor time since it gave s.
	rested(s sample) bool
	close()
}

var errGone = errors.New("the process has ended")

// unknownWritten is sample.written where the system keeps no such counter.
const unknownWritten = -1

// portableSampler is gopsutil behind the sampler interface: it works on every system, at about 60 µs a sample. The
// *process.Process is kept, because making one costs as much as a sample. Never call Children here: it forks pgrep
// (10 ms of CPU), and a confined app is exactly one process anyway.
type portableSampler struct{ process *process.Process }

func newPortableSampler(pid int) (*portableSampler, error) {
	p, err := process.NewProcess(int32(pid))
	if err != nil {
		return nil, fmt.Errorf("look up process %d: %w", pid, goneOr(err))
	}
	return &portableSampler{process: p}, nil
}

func (p *portableSampler) sample() (sample, error) {
	s := sample{at: time.Now(), written: unknownWritten}
	memory, err := p.process.MemoryInfo()
	if err != nil {
		return sample{}, fmt.Errorf("read memory: %w", goneOr(err))
	}
	times, err := p.process.Times()
	if err != nil {
		return sample{}, fmt.Errorf("read processor time: %w", goneOr(err))
	}
	s.rss = int64(memory.RSS)
	s.sys = seconds(times.System)
	s.cpu = s.sys + seconds(times.User)
	if s.rss == 0 { // every live process has pages; a zombie has none
		return sample{}, errGone
	}
	// Both are missing on some systems, which must not cost us the rest.
	if io, err := p.process.IOCounters(); err == nil {
		s.written = int64(io.WriteBytes)
	}
	if n, err := p.process.NumThreads(); err == nil {
		s.threads = int(n)
	}
	return s, nil
}

func (p *portableSampler) rested(sample) bool { return false } // asking costs as much as a sample

func (p *portableSampler) close() {}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
