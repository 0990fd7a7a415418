package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/shirou/gopsutil/v3/process"
	"golang.org/x/sys/unix"
)

// procSampler preads kept handles of three files in /proc/PID: about ten times cheaper than the portable sampler, and
// without an allocation, which is what lets an app near its limit be read every 10 ms. A handle stays bound to its
// process: once that has ended reads fail, even if another process got the number.
type procSampler struct {
	pid    int
	stat   int // descriptors; noFile when not open
	statm  int
	io     int // not open where the kernel keeps no counters or does not show them
	ioNext time.Time
	buf    []byte
}

const noFile = -1

// clockTick is the unit of processor times in /proc/PID/stat: USER_HZ is 100 on every architecture that Linux runs
// Go on, whatever the kernel's own tick (proc(5), include/asm-generic/param.h).
const clockTick = 10 * time.Millisecond

var pageSize = int64(os.Getpagesize())

func openSampler(pid int) (sampler, error) {
	p := &procSampler{pid: pid, stat: noFile, statm: noFile, io: noFile, buf: make([]byte, 1024)}
	var err error
	if p.stat, err = p.open("stat"); err != nil {
		return nil, err
	}
	if p.statm, err = p.open("statm"); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *procSampler) open(name string) (int, error) {
	path := "/proc/" + strconv.Itoa(p.pid) + "/" + name
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return noFile, fmt.Errorf("watch process %d: open %s: %w", p.pid, path, goneOr(err))
	}
	return fd, nil
}

func (p *procSampler) sample() (sample, error) {
	// The clock comes first: what runs while the rest is read shows at the next look.
	s := sample{at: time.Now(), written: unknownWritten, clock: clockOf(p.pid)}
	b, err := p.read(p.stat)
	if err != nil {
		return sample{}, err
	}
	if err := parseStat(b, &s); err != nil {
		return sample{}, err
	}
	if b, err = p.read(p.statm); err != nil {
		return sample{}, err
	}
	if err := parseStatm(b, &s); err != nil {
		return sample{}, err
	}
	// The same figure to the nanosecond: stat rounds it to ticks, within which 80 MB can be written.
	s.cpu = max(s.cpu, s.clock)
	s.dataLimit = dataLimit(p.pid)
	p.readWritten(&s)
	return s, nil
}

// rested compares the process's clock. When the process has ended and its number belongs to another one, that has
// another clock, and the files say what happened.
func (p *procSampler) rested(s sample) bool { return s.clock > 0 && clockOf(p.pid) == s.clock }

// clockOf is all processor time of a process to the nanosecond; 0 where that is not known.
func clockOf(pid int) time.Duration {
	var clock unix.Timespec
	if unix.ClockGettime(processClock(pid), &clock) != nil {
		return 0
	}
	return time.Duration(clock.Nano())
}

// processClock is the clock of all processor time of a process, as clock_getcpuclockid(3) makes it: the complement of
// the number, and CPUCLOCK_SCHED (include/linux/posix-timers_types.h).
func processClock(pid int) int32 { return int32(^pid)<<3 | 2 }

// readWritten fills in the write counter. The kernel checks at each read whether we may see it, and refuses for a
// moment around execve; so a failed read closes the handle and a later sample opens it again, not more often than
// every pollMax.
func (p *procSampler) readWritten(s *sample) {
	if p.io == noFile {
		if s.at.Before(p.ioNext) {
			return
		}
		p.ioNext = s.at.Add(pollMax)
		f, err := p.open("io")
		if err != nil {
			return
		}
		p.io = f
	}
	b, err := p.read(p.io)
	if err == nil {
		if n, ok := parseWritten(b); ok {
			s.written = n
			return
		}
	}
	_ = unix.Close(p.io)
	p.io = noFile
}

// read reads a file of at most len(buf) bytes in one call: the kernel gives all of it at once.
func (p *procSampler) read(fd int) ([]byte, error) {
	for {
		n, err := unix.Pread(fd, p.buf, 0)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil, fmt.Errorf("read the figures of process %d: %w", p.pid, goneOr(err))
		case n == 0:
			return nil, errGone
		default:
			return p.buf[:n], nil
		}
	}
}

func (p *procSampler) close() {
	for _, fd := range []*int{&p.stat, &p.statm, &p.io} {
		if *fd != noFile {
			_ = unix.Close(*fd)
			*fd = noFile
		}
	}
}

// parseStat reads the fields 3 (state), 14 and 15 (utime, stime) and 20 (num_threads) of proc_pid_stat(5). The name in
// field 2 may hold spaces and brackets, so counting starts after its last bracket.
func parseStat(b []byte, s *sample) error {
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return fmt.Errorf("read processor time: no name in %.40q", b)
	}
	rest := b[i+1:]
	var utime, stime int64
	for field := 3; field <= 20; field++ {
		var word []byte
		if word, rest = nextWord(rest); len(word) == 0 {
			return fmt.Errorf("read processor time: only %d fields", field-1)
		}
		switch field {
		case 3:
			if word[0] == 'Z' || word[0] == 'X' || word[0] == 'x' {
				return errGone
			}
		case 14:
			utime = decimal(word)
		case 15:
			stime = decimal(word)
		case 20:
			s.threads = int(decimal(word))
		}
	}
	s.sys = time.Duration(stime) * clockTick
	s.cpu = time.Duration(utime)*clockTick + s.sys
	return nil
}

// parseStatm reads size, resident, shared, text, lib and data, in pages, of proc_pid_statm(5). data includes the main
// thread's stack, which RLIMIT_DATA does not count: some 130 KiB, well inside wallSlack.
func parseStatm(b []byte, s *sample) error {
	var pages [6]int64
	for i := range pages {
		var word []byte
		if word, b = nextWord(b); len(word) == 0 {
			return fmt.Errorf("read memory: only %d fields", i)
		}
		pages[i] = decimal(word)
	}
	s.rss = pages[1] * pageSize
	s.anon = max(pages[1]-pages[2], 0) * pageSize
	s.data = pages[5] * pageSize
	return nil
}

// parseWritten reads write_bytes of proc_pid_io(5). What truncating cancelled is left in, so that the figure never
// runs behind the truth. wchar is no measure: overwriting one megabyte in place made it 208 GB.
func parseWritten(b []byte) (int64, bool) {
	const name = "\nwrite_bytes: "
	i := bytes.Index(b, []byte(name))
	if i < 0 {
		return 0, false
	}
	word, _ := nextWord(b[i+len(name):])
	return decimal(word), len(word) > 0
}

// nextWord splits off the first run of bytes without a space or newline.
func nextWord(b []byte) (word, rest []byte) {
	start := 0
	for start < len(b) && (b[start] == ' ' || b[start] == '\n') {
		start++
	}
	end := start
	for end < len(b) && b[end] != ' ' && b[end] != '\n' {
		end++
	}
	return b[start:end], b[end:]
}

// decimal is the number at the start of b, without the allocation of strconv on a converted string.
func decimal(b []byte) int64 {
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

// goneOr turns the ways in which the system says "no such process" into errGone.
func goneOr(err error) error {
	if errors.Is(err, unix.ESRCH) || errors.Is(err, os.ErrNotExist) || errors.Is(err, process.ErrorProcessNotRunning) {
		return errGone
	}
	return err
}

// dataLimit is the kernel's limit on private writable address space of the process (RLIMIT_DATA), 0 when it has none
// or it cannot be read.
func dataLimit(pid int) int64 {
	var limit unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_DATA, nil, &limit); err != nil || limit.Cur >= 1<<62 {
		return 0
	}
	return int64(limit.Cur)
}
