package sandbox

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// patience is how long a test waits for something that must happen; nothing is measured by it.
const patience = 60 * time.Second

// instance is a child process under watch: a breach kills it and is sent to ended.
type instance struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	paths []string
	ended chan Breach
	holds atomic.Int64 // how often it was stopped to be counted

	mu    sync.Mutex
	limit Budget
}

func (i *instance) pid() int            { return i.cmd.Process.Pid }
func (i *instance) diskPaths() []string { return i.paths }

func (i *instance) budget() Budget {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.limit
}

func (i *instance) setBudget(b Budget) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.limit = b
}

func (i *instance) hold(stop bool) {
	sig := unix.SIGCONT
	if stop {
		sig = unix.SIGSTOP
		i.holds.Add(1)
	}
	_ = i.cmd.Process.Signal(sig)
}

func (i *instance) breached(b Breach) {
	i.cmd.Process.Kill()
	i.ended <- b
}

// startChild runs a child of the given mode in a folder of its own. It begins its work at begin.
func startChild(t testing.TB, mode string, b Budget) *instance {
	t.Helper()
	return startChildIn(t, mode, t.TempDir(), b)
}

func startChildIn(t testing.TB, mode, dir string, b Budget) *instance {
	t.Helper()
	i := &instance{cmd: child(t, mode, dir), paths: []string{dir}, limit: b, ended: make(chan Breach, 2)}
	i.cmd.Stderr = os.Stderr
	var err error
	if i.in, err = i.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := i.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	i.out = bufio.NewReader(out)
	if err := i.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		i.cmd.Process.Kill()
		i.cmd.Wait()
	})
	return i
}

func (i *instance) begin(t testing.TB) {
	t.Helper()
	if _, err := io.WriteString(i.in, "go\n"); err != nil {
		t.Fatal(err)
	}
}

// breach waits for the watchdog to end the child.
func (i *instance) breach(t *testing.T) Breach {
	t.Helper()
	select {
	case b := <-i.ended:
		i.cmd.Wait()
		return b
	case <-time.After(patience):
		t.Fatal("the watchdog did nothing")
		return Breach{}
	}
}

func startWatchdog(t testing.TB) *watchdog {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	w := newWatchdog(nil)
	t.Cleanup(w.close)
	return w
}

// until polls a condition that must come true.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// The overshoot allowed here is several times what was measured on an idle machine: it must hold on a busy one too.
func TestWatchdogEnds(t *testing.T) {
	for _, c := range []struct {
		mode   string
		budget Budget
		want   string
		over   float64 // bytes or core-seconds above the limit
	}{
		{"allocate", Budget{MemoryBytes: 128 * mb}, BudgetMemory, 256 * mb},
		{"spin", Budget{CPUPercent: 10, CPUBurst: 0.5}, BudgetCPU, 4},
		{"write", Budget{DiskBytes: 64 * mb}, BudgetDisk, 1 << 30},
		{"unlinked", Budget{DiskBytes: 64 * mb}, BudgetDisk, 1 << 30},
		{"tiny", Budget{DiskBytes: 16 * mb, CPUPercent: 200, CPUBurst: 60}, BudgetDisk, 64 * mb},
		{"wall", Budget{MemoryBytes: 256 * mb}, BudgetMemory, 0},
	} {
		t.Run(c.mode, func(t *testing.T) {
			w := startWatchdog(t)
			i := startChild(t, c.mode, c.budget)
			w.add(i)
			i.begin(t)
			b := i.breach(t)
			t.Logf("%+v: %.2f over", b, b.Measured-b.Limit)
			if b.Budget != c.want {
				t.Fatalf("ended for %s, want %s", b.Budget, c.want)
			}
			over := b.Measured - b.Limit
			if c.mode == "wall" { // the kernel holds the limit: what is measured is the limit, or just below or above it
				over, c.over = over+wallSlack, 2*wallSlack
			}
			if over <= 0 || over > c.over {
				t.Errorf("measured %.2f of %.2f", b.Measured, b.Limit)
			}
			select {
			case again := <-i.ended:
				t.Errorf("told twice: %+v", again)
			default:
			}
			if u := w.remove(i.pid()); u.CPUSeconds <= 0 && u.PeakMemoryBytes <= 0 {
				t.Errorf("no figures left: %+v", u)
			}
		})
	}
}

// On a memory file system a process's write counter stays at zero.
func TestWatchdogMemoryFileSystem(t *testing.T) {
	const shm = "/dev/shm"
	var st unix.Statfs_t
	if err := unix.Statfs(shm, &st); err != nil || st.Type != unix.TMPFS_MAGIC || st.Bavail*uint64(st.Bsize) < 512*mb {
		t.Skipf("%s is no memory file system with 512 MiB free here (%v); TestDiskBlindCounter holds the decision", shm, err)
	}
	dir, err := os.MkdirTemp(shm, "paddock")
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w := startWatchdog(t)
	i := startChildIn(t, "write", dir, Budget{DiskBytes: 32 * mb})
	w.add(i)
	i.begin(t)
	if b := i.breach(t); b.Budget != BudgetDisk || b.Measured <= b.Limit {
		t.Errorf("%+v", b)
	}
}

// What holds no blocks is no breach, however long or often written.
func TestWatchdogSparesSparse(t *testing.T) {
	w := startWatchdog(t)
	i := startChild(t, "sparse", Budget{DiskBytes: 32 * mb, CPUPercent: 200, CPUBurst: 60})
	w.add(i)
	i.begin(t)
	line, err := i.out.ReadString('\n')
	if err != nil || line != "done\n" {
		select {
		case b := <-i.ended:
			t.Fatalf("ended: %+v", b)
		default:
			t.Fatalf("the child says %q, %v", line, err)
		}
	}
	if countsWrites(i.paths[0]) && i.holds.Load() == 0 { // 200 MB were sent to storage, within a limit of 32
		t.Error("it was never stopped to be counted")
	}
	until(t, "a walk that sees the megabyte", func() bool {
		u := w.usage(i.pid())
		return u.DiskBytes >= mb && u.DiskBytes < 8*mb
	})
}

func TestWatchdogUsage(t *testing.T) {
	w := startWatchdog(t)
	i := startChild(t, "idle", Budget{})
	w.add(i)
	i.begin(t)
	until(t, "figures of an idle child", func() bool {
		u := w.usage(i.pid())
		return u.MemoryBytes > 0 && u.PeakMemoryBytes >= u.MemoryBytes && u.AnonBytes > 0 && u.Threads > 0 && u.DiskBytes >= inodeCost
	})
	if u := w.usage(1 << 30); u != (Usage{}) {
		t.Errorf("an unknown process uses %+v", u)
	}

	// A narrower budget takes effect on the running app.
	i.setBudget(Budget{MemoryBytes: 64 << 10})
	if b := i.breach(t); b.Budget != BudgetMemory || b.Limit != 64<<10 {
		t.Errorf("breach %+v", b)
	}
}

// The end of a process is no breach, and its last figures stay until it is removed.
func TestWatchdogEndedProcess(t *testing.T) {
	w := startWatchdog(t)
	i := startChild(t, "idle", Budget{})
	w.add(i)
	i.begin(t)
	until(t, "a first sample", func() bool { return w.usage(i.pid()).MemoryBytes > 0 })
	i.in.Close()
	i.cmd.Wait()
	until(t, "the watch ends", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.targets[i.pid()].gone
	})
	if w.remove(i.pid()).MemoryBytes == 0 {
		t.Error("the last figures are lost")
	}
	if w.remove(i.pid()) != (Usage{}) {
		t.Error("removed twice")
	}
	w.add(i) // has ended already
	w.remove(i.pid())
	select {
	case b := <-i.ended:
		t.Errorf("breach %+v of an ended process", b)
	default:
	}
}

// A frozen process is not looked at, and is again once it is thawed.
func TestWatchdogRests(t *testing.T) {
	w := startWatchdog(t)
	i := startChild(t, "idle", Budget{})
	w.add(i)
	i.begin(t)
	until(t, "a first sample", func() bool { return w.usage(i.pid()).MemoryBytes > 0 })
	w.rest(i.pid(), true)
	w.rest(1<<30, true) // unknown
	if wait := w.sampleDue(); wait < time.Minute {
		t.Errorf("the next look is due in %v", wait)
	}
	i.setBudget(Budget{MemoryBytes: 64 << 10})
	w.rest(i.pid(), false)
	if b := i.breach(t); b.Budget != BudgetMemory {
		t.Errorf("breach %+v", b)
	}
}

func TestWatchdogClose(t *testing.T) {
	w := startWatchdog(t)
	i := startChild(t, "idle", Budget{})
	w.add(i)
	w.close()
	w.close()
	w.add(i)
	if len(w.targets) != 0 {
		t.Error("a closed watchdog watches")
	}
}

// Both samplers say the same about the same process.
func TestSamplersAgree(t *testing.T) {
	fast, err := openSampler(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer fast.close()
	portable, err := newPortableSampler(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer portable.close()
	a, err := fast.sample()
	if err != nil {
		t.Fatal(err)
	}
	b, err := portable.sample()
	if err != nil {
		t.Fatal(err)
	}
	if near := func(x, y, within int64) bool { return x-y <= within && y-x <= within }; !near(a.rss, b.rss, 32*mb) ||
		!near(int64(a.cpu), int64(b.cpu), int64(2*time.Second)) || !near(a.written, b.written, 64*mb) || !near(int64(a.threads), int64(b.threads), 8) {
		t.Errorf("fast %+v\nportable %+v", a, b)
	}
	if a.anon <= 0 || a.anon > a.rss || a.data <= 0 {
		t.Errorf("anon %d, data %d of rss %d", a.anon, a.data, a.rss)
	}
}

func TestSamplersSeeTheEnd(t *testing.T) {
	i := startChild(t, "idle", Budget{})
	fast, err := openSampler(i.pid())
	if err != nil {
		t.Fatal(err)
	}
	defer fast.close()
	portable, err := newPortableSampler(i.pid())
	if err != nil {
		t.Fatal(err)
	}
	i.cmd.Process.Kill() // not waited for yet: a zombie
	until(t, "the zombie is seen as ended", func() bool {
		_, err := fast.sample()
		_, err2 := portable.sample()
		return errors.Is(err, errGone) && errors.Is(err2, errGone)
	})
	i.cmd.Wait()
	if _, err := fast.sample(); !errors.Is(err, errGone) {
		t.Errorf("after the wait: %v", err)
	}
	if _, err := openSampler(i.pid()); !errors.Is(err, errGone) {
		t.Errorf("opening a dead process: %v", err)
	}
	if _, err := newPortableSampler(i.pid()); !errors.Is(err, errGone) {
		t.Errorf("opening a dead process, portable: %v", err)
	}
}

// A process at rest is asked for its clock and nothing else. What it does then is seen like anything else, and its end.
func TestWatchdogAtRest(t *testing.T) {
	for _, c := range []struct {
		mode   string
		budget Budget
		want   string
	}{
		{"allocate", Budget{MemoryBytes: 256 * mb}, BudgetMemory},
		{"spin", Budget{CPUPercent: 10, CPUBurst: 0.5}, BudgetCPU},
		{"write", Budget{DiskBytes: 512 * mb}, BudgetDisk},
	} {
		t.Run(c.mode, func(t *testing.T) {
			w := startWatchdog(t)
			i := startChild(t, c.mode, c.budget)
			w.add(i)
			until(t, "it rests", func() bool { return w.resting(i.pid()) })
			i.begin(t)
			if b := i.breach(t); b.Budget != c.want || b.Measured <= b.Limit {
				t.Errorf("ended for %+v, want %s", b, c.want)
			}
		})
	}
	t.Run("ends", func(t *testing.T) {
		w := startWatchdog(t)
		i := startChild(t, "idle", Budget{})
		w.add(i)
		until(t, "it rests", func() bool { return w.resting(i.pid()) })
		i.cmd.Process.Kill() // and is not waited for
		until(t, "its end is seen", func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.targets[i.pid()].gone
		})
	})
}

func TestSamplerAtRest(t *testing.T) {
	i := startChild(t, "idle", Budget{})
	s, err := openSampler(i.pid())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	var last sample
	until(t, "it rests", func() bool {
		if s.rested(last) {
			return true
		}
		if last, err = s.sample(); err != nil {
			t.Fatal(err)
		}
		return false
	})
	i.begin(t)
	until(t, "it wakes", func() bool { return !s.rested(last) })
	if s.rested(sample{}) {
		t.Error("without a clock it rests")
	}
}

func TestParseProc(t *testing.T) {
	var s sample
	line := "42 (a) b ( c)) S 1 2 3 4 5 6 7 8 9 10 123 45 0 0 20 0 17 0 99\n"
	if err := parseStat([]byte(line), &s); err != nil || s.cpu != 1680*time.Millisecond || s.sys != 450*time.Millisecond || s.threads != 17 {
		t.Errorf("%+v, %v", s, err)
	}
	if err := parseStat([]byte(strings.Replace(line, " S ", " Z ", 1)), &s); !errors.Is(err, errGone) {
		t.Errorf("zombie: %v", err)
	}
	for _, bad := range []string{"", "42", "42 (x)", "42 (x) S 1 2"} {
		if parseStat([]byte(bad), &s) == nil {
			t.Errorf("%q passes", bad)
		}
	}
	if err := parseStatm([]byte("100 50 20 1 0 70 0\n"), &s); err != nil || s.rss != 50*pageSize || s.anon != 30*pageSize || s.data != 70*pageSize {
		t.Errorf("%+v, %v", s, err)
	}
	if parseStatm([]byte("1 2 3"), &s) == nil {
		t.Error("a short statm passes")
	}
	if n, ok := parseWritten([]byte("rchar: 1\nwrite_bytes: 4096\ncancelled_write_bytes: 7\n")); !ok || n != 4096 {
		t.Errorf("%d %v", n, ok)
	}
	if _, ok := parseWritten([]byte("rchar: 1\n")); ok {
		t.Error("no counter passes")
	}
}

func FuzzParseProc(f *testing.F) {
	for _, name := range []string{"stat", "statm", "io"} {
		b, err := os.ReadFile(filepath.Join("/proc/self", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var s sample
		_ = parseStat(b, &s)
		_ = parseStatm(b, &s)
		parseWritten(b)
	})
}

func BenchmarkSample(b *testing.B) {
	fast, err := openSampler(os.Getpid())
	if err != nil {
		b.Fatal(err)
	}
	defer fast.close()
	portable, err := newPortableSampler(os.Getpid())
	if err != nil {
		b.Fatal(err)
	}
	for name, s := range map[string]sampler{"kept-handles": fast, "gopsutil": portable} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.sample(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFifty is a second of watching fifty processes at rest that each have as much memory left as an app that rests
// has with the default budget, 200 MB: what decides how often they are looked at. Everything counts that the watchdog
// does and wakes; with nothing else to do most of it is waking up. “paddock bench” measures the same with real apps and
// the whole agent around it.
func BenchmarkFifty(b *testing.B) {
	w := newWatchdog(nil)
	defer w.close()
	var all []*instance
	for range 50 {
		i := startChild(b, "idle", Budget{MemoryBytes: 208 * mb})
		w.add(i)
		all = append(all, i)
	}
	for deadline := time.Now().Add(patience); !slices.ContainsFunc(all, func(i *instance) bool { return !w.resting(i.pid()) }); {
		if time.Now().After(deadline) {
			b.Fatal("they do not come to rest")
		}
		time.Sleep(pollMax)
	}
	began := cpuTime(b)
	for b.Loop() {
		time.Sleep(time.Second)
	}
	used := cpuTime(b) - began
	b.ReportMetric(100*used.Seconds()/float64(b.N), "%core")
}

// resting reports whether the last look found that the process had done nothing since it was read.
func (w *watchdog) resting(pid int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.targets[pid]
	return t != nil && t.last.at.After(t.read)
}

// cpuTime is what this process has used: unlike the clock, it does not grow with what else the machine does.
func cpuTime(b *testing.B) time.Duration {
	used := clockOf(os.Getpid())
	if used == 0 {
		b.Fatal("this process has no clock")
	}
	return used
}
