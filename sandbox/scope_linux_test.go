package sandbox

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// busForTest is a message bus with nobody else on it.
func busForTest(t *testing.T) (address string) {
	t.Helper()
	c := exec.Command("dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address=1",
		"--address=unix:path="+filepath.Join(filepath.Dir(optionsForTest(t).SocketDir), "bus"))
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatalf("dbus-daemon: %v (packaging/setup.sh installs it)", err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	address, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(address)
}

// fakeSystemd answers StartTransientUnit in place of the user's systemd. Control groups are the kernel's own; the files
// of their limits are in limits, because the second version has no controllers on the machines that these tests know.
type fakeSystemd struct {
	groups string // where control groups of the second version are mounted; "" moves no process
	limits string // where memory.max is looked for; "" sets none
	refuse string
	hang   chan struct{}
}

// StartTransientUnit is called by the bus.
func (f *fakeSystemd) StartTransientUnit(name, mode string, properties []scopeProperty, _ []scopeUnit) (dbus.ObjectPath, *dbus.Error) {
	if f.hang != nil {
		<-f.hang
	}
	if f.refuse != "" {
		return "", dbus.MakeFailedError(errors.New(f.refuse))
	}
	values := map[string]any{}
	for _, p := range properties {
		values[p.Name] = p.Value.Value()
	}
	pids, _ := values["PIDs"].([]uint32)
	memory, _ := values["MemoryMax"].(uint64)
	if mode != "fail" || len(pids) != 1 || memory == 0 || values["MemorySwapMax"] != uint64(0) {
		return "", dbus.MakeFailedError(errors.New("not what was expected"))
	}
	var errs []error
	if f.groups != "" {
		group := filepath.Join(f.groups, name)
		errs = append(errs, os.Mkdir(group, 0o755),
			os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(int(pids[0]))), 0))
	}
	if f.limits != "" {
		files := filepath.Join(f.limits, name)
		errs = append(errs, os.Mkdir(files, 0o755),
			os.WriteFile(filepath.Join(files, "memory.max"), []byte(strconv.FormatUint(memory, 10)+"\n"), 0o644),
			os.WriteFile(filepath.Join(files, "cpu.max"), []byte("200000 100000\n"), 0o644))
	}
	if err := errors.Join(errs...); err != nil {
		return "", dbus.MakeFailedError(err)
	}
	return "/org/freedesktop/systemd1/job/1", nil
}

// groupsForTest is where control groups of the second version are mounted.
func groupsForTest(t *testing.T) string {
	t.Helper()
	for _, dir := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var st unix.Statfs_t
		if unix.Statfs(dir, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC && unix.Access(dir, unix.W_OK) == nil && os.Geteuid() == 0 {
			return dir
		}
	}
	t.Skip("only root can make control groups, where version 2 of them is mounted")
	return ""
}

// What systemd promises counts when the kernel shows it, and no start waits for it.
func TestScope(t *testing.T) {
	bus := busForTest(t)
	cases := []struct {
		name  string
		fake  func(t *testing.T) *fakeSystemd // nil: nobody has the name
		holds bool
		why   string
	}{
		{"held", func(t *testing.T) *fakeSystemd { return &fakeSystemd{groups: groupsForTest(t), limits: t.TempDir()} }, true, ""},
		{"promised without a limit", func(t *testing.T) *fakeSystemd { return &fakeSystemd{groups: groupsForTest(t)} }, false, "systemd agreed, but the kernel holds no limit"},
		{"promised and not moved", func(t *testing.T) *fakeSystemd { return &fakeSystemd{limits: t.TempDir()} }, false, "in no control group of its own"},
		{"refused", func(*testing.T) *fakeSystemd { return &fakeSystemd{refuse: "no delegation"} }, false, "no delegation"},
		{"no answer", func(t *testing.T) *fakeSystemd { return &fakeSystemd{hang: make(chan struct{})} }, false, "not asked for yet"},
		{"no systemd", nil, false, "ask the user's systemd"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			sup := supervisorForTest(t)
			sup.scopes = &scopes{bus: bus, root: t.TempDir()}
			if c.fake != nil {
				fake := c.fake(t)
				if fake.limits != "" {
					sup.scopes.root = fake.limits
				}
				serveFake(t, bus, fake)
			}
			in := launchForTest(t, sup, specForTest(t, `export default { fetch: () => new Response("ok") };`))
			if c.name != "no answer" {
				waitFor(t, "an answer of systemd's", func() bool {
					_, why := in.scopeLimits()
					return !strings.Contains(why, "not asked for yet")
				})
			}
			l, why := in.scopeLimits()
			if c.holds != (why == "") || !strings.Contains(why, c.why) {
				t.Errorf("limits %+v, why %q; want %q", l, why, c.why)
			}
			r := in.Report()
			if r.Level != "full" {
				t.Errorf("report: %+v", r)
			}
			for _, w := range r.Walls {
				switch w.Name {
				case "memory (kernel limit)":
					if c.holds != (w.State == Enforced) || c.holds != strings.Contains(w.Why, "272 MB of memory in all") {
						t.Errorf("wall: %+v", w)
					}
				case "processor time and disk space":
					if c.holds != strings.Contains(w.Why, "two processors at most") || !strings.Contains(w.Why, c.why) {
						t.Errorf("wall: %+v", w)
					}
				}
			}
			began := time.Now()
			in.Kill()
			ended(t, in)
			if took := time.Since(began); took > scopePatience {
				t.Errorf("the end took %v", took)
			}
			if c.fake != nil {
				if groups := filepath.Join("/sys/fs/cgroup/unified", in.scopeUnit()); os.Remove(groups) != nil {
					_ = os.Remove(filepath.Join("/sys/fs/cgroup", in.scopeUnit()))
				}
			}
		})
	}
}

// serveFake puts fake on the bus until the end of the test.
func serveFake(t *testing.T, bus string, fake *fakeSystemd) {
	t.Helper()
	conn, err := dbus.Connect(bus)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if fake.hang != nil {
			close(fake.hang)
		}
		_ = conn.Close()
	})
	if err := conn.Export(fake, systemdPath, "org.freedesktop.systemd1.Manager"); err != nil {
		t.Fatal(err)
	}
	if reply, err := conn.RequestName(systemdName, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("the name of systemd: %v, %v", reply, err)
	}
}

// A process that the kernel ended for its control group's sake was over its memory budget; one that somebody killed was not.
func TestKilledForItsControlGroup(t *testing.T) {
	b := Budget{MemoryBytes: 100 << 20}
	killed := Exit{Signal: "SIGKILL", Tail: "out of memory, said the app"}
	if ranOut(killed, true, b, Usage{PeakMemoryBytes: 95 << 20}) == nil {
		t.Error("at the limit: no breach")
	}
	if ranOut(killed, true, b, Usage{PeakMemoryBytes: 50 << 20}) != nil || ranOut(killed, false, b, Usage{PeakMemoryBytes: 95 << 20}) != nil {
		t.Error("killed by somebody: a breach")
	}
}
