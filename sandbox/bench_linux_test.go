package sandbox

import (
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// From the start to the app's first word, behind both walls, and for plain Deno with the same flags and entry module.
// Measured on two cores that others used too, 60 launches each: 1.11 to 1.24 times plain Deno with everything, on quiet
// ones 1.15 to 1.21. When no launcher stands by an app waits for a fork without vfork (a user namespace needs it in Go,
// 0.8 ms) and for a network namespace (0.3 ms) besides.
func BenchmarkLaunch(b *testing.B) {
	sup := supervisorForTest(b)
	spec := specForTest(b, `export default { fetch: () => new Response("ok") };`)
	warm := launchForTest(b, sup, spec)
	warm.Kill()
	<-warm.Done()
	egress := spec
	egress.Allow = setOf(b, "net:example.com")
	flat := supervisorForTest(b, func(o *Options) { o.NoView = true })
	for _, c := range []struct {
		name    string
		sup     *Supervisor
		spec    Spec
		standby bool
	}{
		{"walled", sup, spec, true},
		{"walled with egress", sup, egress, true},
		{"walled without a view", flat, spec, true},
		{"walled and nothing stands by", sup, spec, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			var sum Phases
			for b.Loop() {
				b.StopTimer()
				c.sup.refill()
				if !c.standby {
					ahead, err := c.sup.next()
					if err != nil {
						b.Fatal(err)
					}
					ahead.discard()
				}
				b.StartTimer()
				in := launchForTest(b, c.sup, c.spec)
				b.StopTimer()
				p := in.Phases()
				sum.Prepare += p.Prepare
				sum.Walls += p.Walls
				sum.Listening += p.Listening - p.Walls
				sum.Ready += p.Ready - p.Listening
				in.Kill()
				<-in.Done()
				standbyOf(b, c.sup)
				b.StartTimer()
			}
			for unit, d := range map[string]time.Duration{"prepare-ms": sum.Prepare, "walls-ms": sum.Walls, "deno-ms": sum.Listening, "app-ms": sum.Ready} {
				b.ReportMetric(float64(d.Microseconds())/1000/float64(b.N), unit)
			}
		})
	}
	b.Run("plain", func(b *testing.B) {
		paths, err := PathsOf(sup.options, spec, false)
		if err != nil {
			b.Fatal(err)
		}
		command, err := Plan(sup.options, spec, paths)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			b.StopTimer()
			if err := spec.makeFolders(paths, ""); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			cmd := &exec.Cmd{Path: command.Path, Args: append([]string{"deno"}, command.Args...), Env: command.Env, Dir: command.Dir}
			if err := cmd.Start(); err != nil {
				b.Fatal(err)
			}
			poll := time.NewTicker(time.Millisecond)
			deadline := time.After(time.Minute)
			for answered := false; !answered; {
				if conn, err := net.Dial("unix", paths.Socket); err == nil {
					_ = conn.Close()
					status, _, err := (&Instance{}).get(b.Context(), paths.Socket, "/.paddock/ready")
					answered = err == nil && status == 200
				}
				select {
				case <-poll.C:
				case <-deadline:
					b.Fatal("plain Deno does not answer")
				}
			}
			poll.Stop()
			b.StopTimer()
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			_ = os.RemoveAll(filepath.Clean(paths.Dir))
			b.StartTimer()
		}
	})
}

// How far past its budget a child gets that uses memory, processor or disk as fast as it can, at worst: the claims are
// 20 MB, 0.1 core-seconds, and 40 MB or 5 %. What is written until the process is gone counts. Where the kernel holds the limit (wall) it is what the watchdog measured
// above it. TestWatchdogEnds holds looser bounds, which also a busy machine keeps.
func BenchmarkOvershoot(b *testing.B) {
	for _, c := range []struct {
		mode   string
		budget Budget
		unit   string
		scale  float64
		rests  bool // it did nothing before, for long enough that the watchdog knows
	}{
		{"allocate", Budget{MemoryBytes: 128 * mb}, "MB-over", mb, false},
		{"wall", Budget{MemoryBytes: 256 * mb}, "MB-over", mb, false},
		{"spin", Budget{CPUPercent: 10, CPUBurst: 0.5}, "core-s-over", 1, false},
		{"write", Budget{DiskBytes: 64 * mb}, "MB-over", mb, false},
		{"unlinked", Budget{DiskBytes: 64 * mb}, "MB-over", mb, false},
		{"tiny", Budget{DiskBytes: 16 * mb, CPUPercent: 200, CPUBurst: 60}, "MB-over", mb, false},
		{"allocate", Budget{MemoryBytes: 256 * mb}, "MB-over", mb, true},
		{"spin", Budget{CPUPercent: 10, CPUBurst: 0.5}, "core-s-over", 1, true},
		{"write", Budget{DiskBytes: 512 * mb}, "MB-over", mb, true},
	} {
		name := c.mode
		if c.rests {
			name += " after a rest"
		}
		b.Run(name, func(b *testing.B) {
			worst := math.Inf(-1)
			for b.Loop() {
				w := newWatchdog(nil)
				i := startChild(b, c.mode, c.budget)
				w.add(i)
				for c.rests && !w.resting(i.pid()) {
					time.Sleep(pollMin)
				}
				i.begin(b)
				select {
				case breach := <-i.ended:
					worst = max(worst, breach.Measured-breach.Limit)
				case <-time.After(patience):
					b.Fatal("the watchdog did nothing")
				}
				_ = i.cmd.Wait()
				w.close()
				if c.mode == "write" || c.mode == "unlinked" { // until it was gone: all that it ever sent to storage
					if usage, ok := i.cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
						worst = max(worst, float64(usage.Oublock*512-c.budget.DiskBytes))
					}
				}
			}
			b.ReportMetric(worst/c.scale, c.unit)
		})
	}
}
