package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// scopes asks the user's systemd for a control group around each app: the kernel then holds memory that Deno's own
// limits do not see, and never gives an app more than two processors. It comes on top of everything else, so a start
// does not wait for it, and what it is worth is what the kernel's files say, never systemd's answer: a user's manager
// accepts limits that it has not been given the means to set (systemd/systemd #3744, #10581).
//
// nil asks nobody.
type scopes struct {
	bus  string // address of the user's message bus
	root string // where control groups are mounted, without a slash at the end
}

// What a control group adds to an app's budget, and how long systemd may take over it.
const (
	scopeSlack     = 16 << 20  // bytes of memory: the kernel's own for the process is counted too
	scopeCPU       = 2_000_000 // microseconds of processor time in a second: the widest budget's rate
	scopeTasks     = 1024
	scopePatience  = 10 * time.Second
	cgroupRoot     = "/sys/fs/cgroup"
	systemdName    = "org.freedesktop.systemd1"
	systemdPath    = "/org/freedesktop/systemd1"
	transientUnits = "org.freedesktop.systemd1.Manager.StartTransientUnit"
)

// findScopes looks for the user's message bus without starting one, and for control groups of the second version.
func findScopes() (*scopes, string) {
	var st unix.Statfs_t
	if err := unix.Statfs(cgroupRoot, &st); err != nil || st.Type != unix.CGROUP2_SUPER_MAGIC {
		return nil, "this system has no control groups of version 2"
	}
	if bus := os.Getenv("DBUS_SESSION_BUS_ADDRESS"); strings.HasPrefix(bus, "unix:") { // others may start one
		return &scopes{bus: bus, root: cgroupRoot}, ""
	}
	socket := filepath.Join("/run/user", strconv.Itoa(os.Getuid()), "bus")
	if info, err := os.Stat(socket); err == nil && info.Mode()&os.ModeSocket != 0 {
		return &scopes{bus: "unix:path=" + dbus.EscapeBusAddressValue(socket), root: cgroupRoot}, ""
	}
	return nil, "there is no message bus of this user, and so no systemd to ask"
}

// scopeProperty and scopeUnit are StartTransientUnit's (sv) and (sa(sv)): see org.freedesktop.systemd1(5).
type (
	scopeProperty struct {
		Name  string
		Value dbus.Variant
	}
	scopeUnit struct {
		Name       string
		Properties []scopeProperty
	}
)

// enclose asks for a control group around the process. That systemd agrees means nothing yet: see limits.
func (s *scopes) enclose(ctx context.Context, unit string, pid int, memory int64) error {
	ctx, cancel := context.WithTimeout(ctx, scopePatience)
	defer cancel()
	conn, err := dbus.Connect(s.bus, dbus.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("reach the user's message bus: %w", err)
	}
	defer func() { _ = conn.Close() }()
	property := func(name string, value any) scopeProperty { return scopeProperty{name, dbus.MakeVariant(value)} }
	call := conn.Object(systemdName, systemdPath).CallWithContext(ctx, transientUnits, dbus.FlagNoAutoStart, unit, "fail",
		[]scopeProperty{
			property("Description", "An app that Paddock runs"),
			property("PIDs", []uint32{uint32(pid)}),
			property("MemoryMax", uint64(memory)),
			property("MemorySwapMax", uint64(0)),
			property("CPUQuotaPerSecUSec", uint64(scopeCPU)),
			property("TasksMax", uint64(scopeTasks)),
			property("CollectMode", "inactive-or-failed"),
		}, []scopeUnit{})
	if call.Err != nil {
		return fmt.Errorf("ask the user's systemd: %w", call.Err)
	}
	return nil
}

// scopeLimits are what the kernel holds a process to.
type scopeLimits struct {
	memory int64 // bytes
	cpu    bool  // scopeCPU or less
}

// limits reads back which limits the process has from the unit; an error says why it has none.
func (s *scopes) limits(unit string, pid int) (scopeLimits, error) {
	var l scopeLimits
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return l, err
	}
	group := ""
	for line := range strings.Lines(string(text)) { // cgroups(7): the second version has the number 0 and no controllers
		if path, is := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); is {
			group = path
		}
	}
	if filepath.Base(group) != unit || !filepath.IsAbs(group) {
		return l, errors.New("the process is in no control group of its own")
	}
	read := func(name string) (string, error) {
		text, err := os.ReadFile(filepath.Join(s.root, filepath.Clean(group), name))
		return strings.TrimSpace(string(text)), err
	}
	memory, err := read("memory.max")
	if err != nil {
		return l, fmt.Errorf("systemd agreed, but the kernel holds no limit: %w", err)
	}
	if l.memory, err = strconv.ParseInt(memory, 10, 64); err != nil {
		return l, fmt.Errorf("systemd agreed, but the kernel's limit on memory is %q", memory)
	}
	if cpu, err := read("cpu.max"); err == nil {
		var quota, period int64
		n, err := fmt.Sscan(cpu, &quota, &period)
		l.cpu = err == nil && n == 2 && period > 0 && quota <= scopeCPU*period/1_000_000
	}
	return l, nil
}

// startScope asks for the control group beside the start, which goes on meanwhile.
func (in *Instance) startScope() {
	s := in.sup.scopes
	if s == nil {
		in.setScope(in.sup.noScopes)
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.ctx.Err() != nil {
		return // it has ended and nobody would wait for the goroutine any more
	}
	in.helper.Go(func() {
		err := s.enclose(in.ctx, in.scopeUnit(), in.proc.pid, in.scopeMemory())
		switch {
		case err == nil:
			in.setScope("")
		case in.ctx.Err() == nil:
			in.setScope(err.Error())
			in.sup.log.Debug("no control group", "app", in.spec.ID, "error", err)
		}
	})
}

// scopeUnit names the control group. A unit's name holds letters, digits and the signs that an id may have
// (systemd.unit(5)); with the process id no two are the same.
func (in *Instance) scopeUnit() string {
	return fmt.Sprintf("app-paddock-%s-%d.scope", strings.ReplaceAll(in.spec.ID, "-", "_"), in.proc.pid)
}

func (in *Instance) scopeMemory() int64 {
	return in.spec.Budget.WithDefaults().MemoryBytes + scopeSlack
}

// scopeLimits reads back what holds, and says why nothing does.
func (in *Instance) scopeLimits() (scopeLimits, string) {
	in.mu.Lock()
	why := in.scopeWhy
	in.mu.Unlock()
	if why != "" {
		return scopeLimits{}, why
	}
	l, err := in.sup.scopes.limits(in.scopeUnit(), in.proc.pid)
	switch {
	case err != nil:
		return scopeLimits{}, err.Error()
	case l.memory > in.scopeMemory():
		return scopeLimits{}, fmt.Sprintf("the kernel's limit on memory is %d MB, which is not what was asked for", l.memory>>20)
	}
	return l, ""
}
