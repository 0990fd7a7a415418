package sandbox

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBudgetDefaults(t *testing.T) {
	def, most := DefaultBudget(), MaxBudget()
	if got := (Budget{}).WithDefaults(); got != def {
		t.Errorf("zero budget = %+v, want the defaults %+v", got, def)
	}
	nonsense := Budget{
		MemoryBytes: -1, CPUPercent: math.NaN(), CPUBurst: -3, DiskBytes: math.MinInt64, StartTimeout: -1, LogBytes: -1,
	}
	if got := nonsense.WithDefaults(); got != def {
		t.Errorf("nonsense = %+v, want the defaults", got)
	}
	huge := Budget{
		MemoryBytes: math.MaxInt64, CPUPercent: math.Inf(1), CPUBurst: 1e9, DiskBytes: math.MaxInt64,
		Workers: 99, StartTimeout: math.MaxInt64, LogBytes: math.MaxInt64,
	}
	if got := huge.WithDefaults(); got != most {
		t.Errorf("huge = %+v, want the caps %+v", got, most)
	}
	for workers, want := range map[int]int{-7: 0, -1: 0, 0: 2, 1: 1, 8: 8, 9: 8} {
		if got := (Budget{Workers: workers}).WithDefaults().WithDefaults().WorkerCount(); got != want {
			t.Errorf("%d workers count as %d, want %d", workers, got, want)
		}
	}
}

func TestBudgetCheck(t *testing.T) {
	for name, b := range map[string]Budget{
		"memory": {MemoryBytes: 3 << 30}, "cpu": {CPUPercent: 201}, "nan": {CPUPercent: math.NaN()}, "burst": {CPUBurst: -1},
		"disk": {DiskBytes: 21 << 30}, "workers": {Workers: 9}, "start": {StartTimeout: time.Hour}, "log": {LogBytes: -1},
	} {
		if b.Check() == nil {
			t.Errorf("%s: %+v passes", name, b)
		}
	}
	for _, b := range []Budget{{}, DefaultBudget(), MaxBudget(), {Workers: -1}} {
		if err := b.Check(); err != nil {
			t.Errorf("%+v: %v", b, err)
		}
	}
}

// A budget is never unlimited, whatever it is made of, and checked budgets are enforced as they are.
func TestBudgetProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Budget{
			MemoryBytes: rapid.Int64().Draw(t, "memory"), CPUPercent: rapid.Float64().Draw(t, "cpu"),
			CPUBurst: rapid.Float64().Draw(t, "burst"), DiskBytes: rapid.Int64().Draw(t, "disk"),
			Workers: rapid.Int().Draw(t, "workers"), StartTimeout: time.Duration(rapid.Int64().Draw(t, "start")),
			LogBytes: rapid.Int64().Draw(t, "log"),
		}
		got, most := b.WithDefaults(), MaxBudget()
		if got.WithDefaults() != got {
			t.Fatalf("not idempotent: %+v", got)
		}
		if got.MemoryBytes <= 0 || got.MemoryBytes > most.MemoryBytes || !(got.CPUPercent > 0 && got.CPUPercent <= most.CPUPercent) ||
			!(got.CPUBurst > 0 && got.CPUBurst <= most.CPUBurst) || got.DiskBytes <= 0 || got.DiskBytes > most.DiskBytes ||
			got.Workers == 0 || got.Workers > most.Workers || got.StartTimeout <= 0 || got.LogBytes <= 0 {
			t.Fatalf("%+v became %+v", b, got)
		}
		if b.Check() == nil && b.MemoryBytes > 0 && got.MemoryBytes != b.MemoryBytes {
			t.Fatalf("a good budget of %d was changed to %d", b.MemoryBytes, got.MemoryBytes)
		}
	})
}

func TestHeadroomWait(t *testing.T) {
	for _, c := range []struct {
		left int64
		want time.Duration
	}{
		{math.MinInt64, pollMin},
		{0, pollMin},
		{1 << 20, pollMin},
		{200_000_000, 100 * time.Millisecond},
		{10 << 30, pollMax},
		{math.MaxInt64, pollMax},
	} {
		if got := headroomWait(c.left); got != c.want {
			t.Errorf("%d bytes left: wait %v, want %v", c.left, got, c.want)
		}
	}
	if got := clampPoll(math.NaN()); got != pollMax {
		t.Errorf("NaN waits %v", got)
	}
}

func TestBucketBreach(t *testing.T) {
	var k bucket
	var breach *Breach
	used := time.Duration(0)
	for i := 0; breach == nil; i++ { // one busy core, half a core allowed: 3 core-seconds of burst last six seconds
		if i > 100 {
			t.Fatal("one busy core is never over half a core")
		}
		k, breach = k.take(0.5, 3, pollMax, pollMax)
		used += pollMax
	}
	if used < 6*time.Second || used > 6500*time.Millisecond {
		t.Errorf("killed after %v of CPU, want a little over 6 s", used)
	}
	if over := breach.Measured - breach.Limit; breach.Budget != BudgetCPU || over <= 0 || over > 0.25 {
		t.Errorf("breach %+v", breach)
	}
}

func TestBucketWait(t *testing.T) {
	full := bucket{}
	if got := full.wait(0.5, 3, 2); got != pollMax {
		t.Errorf("a full bucket waits %v", got)
	}
	if got := full.wait(2, 3, 2); got != pollMax {
		t.Errorf("a rate that covers all cores waits %v", got)
	}
	low, _ := full.take(0.5, 3, 0, 2950*time.Millisecond)
	if got := low.wait(0.5, 3, 64); got != pollMin {
		t.Errorf("50 ms of tokens on 64 cores wait %v", got)
	}
}

// Whatever an app does, it uses at most burst + rate·time, and it is ended only when it used more than it was allowed.
func TestBucketProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Float64Range(0.01, 2).Draw(t, "rate")
		burst := rapid.Float64Range(0.1, 10).Draw(t, "burst")
		var k bucket
		var elapsed, used float64
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			dt := time.Duration(rapid.Int64Range(-1, int64(2*time.Second)).Draw(t, "dt"))
			cpu := time.Duration(rapid.Int64Range(-1, int64(time.Second)).Draw(t, "cpu"))
			before := k.tokens(burst)
			var breach *Breach
			k, breach = k.take(rate, burst, dt, cpu)
			dt, cpu = max(dt, 0), max(cpu, 0)
			elapsed += dt.Seconds()
			used += cpu.Seconds()
			want := math.Min(burst, before+rate*dt.Seconds()) - cpu.Seconds()
			if math.Abs(k.tokens(burst)-want) > 1e-6 {
				t.Fatalf("tokens %v, want %v", k.tokens(burst), want)
			}
			if breach != nil {
				if breach.Measured <= breach.Limit {
					t.Fatalf("breach without being over: %+v", breach)
				}
				return
			}
			if used > burst+rate*elapsed+1e-6 {
				t.Fatalf("used %v core-seconds of %v unnoticed", used, burst+rate*elapsed)
			}
		}
	})
}
