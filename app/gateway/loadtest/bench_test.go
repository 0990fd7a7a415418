package loadtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// loadPart makes this test binary one process of a measurement.
const loadPart = "PADDOCK_TEST_LOAD_PART"

func TestMain(m *testing.M) {
	if os.Getenv(loadPart) != "" {
		if err := Part(context.Background(), os.Args[1:], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func newYard(b testing.TB) *Yard {
	b.Helper()
	y, err := NewYard(b.Context(), func(args ...string) *exec.Cmd {
		cmd := exec.Command(os.Args[0], args...)
		cmd.Env = append(os.Environ(), loadPart+"=1")
		return cmd
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := y.Close(); err != nil {
			b.Error(err)
		}
	})
	return y
}

// turns is how often the parties of a comparison take turns, so that a busy moment of the machine falls on all.
const turns = 5

// party is one way to the server.
type party struct {
	name   string
	target Target
}

// parties are all ways there are on this machine.
func parties(b *testing.B, y *Yard) []party {
	b.Helper()
	all := []party{{"direct", y.Straight}, {"door", y.Door}}
	for _, name := range RivalNames() {
		rival, installed, err := y.Rival(b.Context(), name)
		if err != nil {
			b.Fatal(err)
		}
		if !installed {
			b.Logf("%s is not installed and not compared with: packaging/setup.sh bench", name)
			continue
		}
		b.Logf("%s %s", name, rival.Version)
		all = append(all, party{name, rival.Target})
	}
	return all
}

// BenchmarkDoor compares the front door with a direct connection, Caddy and nginx, all before the same socket and each
// in a process of its own, in turns. "of-direct", "of-Caddy" and "of-nginx" are rates of the front door over theirs;
// "door-µs" is processor time of the front door's process for one request, its kernel part included.
func BenchmarkDoor(b *testing.B) {
	y := newYard(b)
	all := parties(b, y)
	for _, connections := range []int{1, 32} {
		b.Run(fmt.Sprintf("%dconn", connections), func(b *testing.B) {
			got := map[string]*Result{}
			var processor time.Duration
			for b.Loop() {
				for range turns {
					for _, p := range all {
						before := usageOf(b, y, p.name == "door")
						result, err := Run(b.Context(), p.target, connections, 300*time.Millisecond)
						if err != nil {
							b.Fatal(p.name, err)
						}
						processor += usageOf(b, y, p.name == "door").Processor - before.Processor
						if got[p.name] == nil {
							got[p.name] = new(Result)
						}
						got[p.name].Add(result)
					}
				}
			}
			door := got["door"]
			for name, other := range got {
				b.ReportMetric(other.PerSecond(), name+"-req/s")
				b.ReportMetric(float64(other.Quantile(0.5).Microseconds()), name+"-p50-µs")
				if name != "door" {
					b.ReportMetric(door.PerSecond()/other.PerSecond(), "of-"+name)
				}
			}
			b.ReportMetric(float64(processor.Nanoseconds())/1e3/float64(len(door.Times)), "door-µs")
			b.ReportMetric(float64((door.Quantile(0.5) - got["direct"].Quantile(0.5)).Microseconds()), "over-µs")
		})
	}
}

func usageOf(b *testing.B, y *Yard, wanted bool) (u Usage) {
	b.Helper()
	if wanted {
		var err error
		if u, err = y.Usage(); err != nil {
			b.Fatal(err)
		}
	}
	return u
}

// BenchmarkBodies compares 10 MB bodies in the same way. The bytes are copied twice as often on the way through a proxy,
// and the server does nothing with them: with an app that makes or reads them the ratio is higher.
func BenchmarkBodies(b *testing.B) {
	y := newYard(b)
	bodies(b, parties(b, y))
}

func bodies(b *testing.B, all []party) {
	for _, way := range []string{"download", "upload"} {
		b.Run(way, func(b *testing.B) {
			got := map[string]*Result{}
			for b.Loop() {
				for range turns {
					for _, p := range all {
						result, err := RunBody(b.Context(), p.target, way == "upload", 250*time.Millisecond)
						if err != nil {
							b.Fatal(p.name, err)
						}
						if got[p.name] == nil {
							got[p.name] = new(Result)
						}
						got[p.name].Add(result)
					}
				}
			}
			for name, other := range got {
				b.ReportMetric(other.Megabytes(), name+"-MB/s")
				if name != "door" {
					b.ReportMetric(got["door"].Megabytes()/other.Megabytes(), "of-"+name)
				}
			}
		})
	}
}

// BenchmarkSockets opens a thousand WebSockets through a fresh front door and tells what its process takes then.
func BenchmarkSockets(b *testing.B) {
	const count = 1000
	y := newYard(b)
	for b.Loop() {
		if err := y.OpenDoor(b.Context()); err != nil {
			b.Fatal(err)
		}
		before, err := y.Usage()
		if err != nil {
			b.Fatal(err)
		}
		open, err := OpenSockets(b.Context(), y.Door, count)
		if err != nil {
			b.Fatal(err)
		}
		after, err := y.Usage()
		if err != nil {
			b.Fatal(err)
		}
		for _, c := range open {
			_ = c.Close()
		}
		b.ReportMetric(float64(after.Resident)/1e6, "resident-MB")
		b.ReportMetric(float64(after.Heap+after.Stacks-before.Heap-before.Stacks)/count/1e3, "kB/socket")
	}
}
