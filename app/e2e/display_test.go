package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/prop"
)

// desk is a desktop of a test's own: an X server, a session bus and, where wanted, a panel with a place for
// tray icons.
type desk struct {
	t       testing.TB
	display string
	bus     string
	server  *exec.Cmd
}

// startingDisplay is held while an X server looks for a free number: two that start at the same moment can take the same
// one over from a killed server, and the first to end removes the socket of both.
var startingDisplay sync.Mutex

// newDesk starts an X server and a session bus until the test ends.
func newDesk(t testing.TB) *desk {
	t.Helper()
	d := &desk{t: t}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	d.server = exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", "1280x1000x24", "-nolisten", "tcp", "-noreset")
	d.server.ExtraFiles = []*os.File{w}
	func() {
		startingDisplay.Lock()
		defer startingDisplay.Unlock()
		begin(t, d.server)
		w.Close()
		d.display = ":" + firstLine(t, r)
	}()

	bus := exec.Command("dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address=1")
	out, err := bus.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	begin(t, bus)
	d.bus = firstLine(t, out)
	return d
}

// begin starts a program and ends it with the test.
func begin(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: “packaging/setup.sh” installs what the tests need", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
}

func firstLine(t testing.TB, r io.Reader) string {
	t.Helper()
	got := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(r).ReadString('\n')
		got <- strings.TrimSpace(line)
	}()
	select {
	case line := <-got:
		if line == "" {
			t.Fatal("a program of the desktop ended at once")
		}
		return line
	case <-time.After(deadline):
		t.Fatal("a program of the desktop says nothing")
	}
	return ""
}

// on gives m this desktop.
func (d *desk) on(m *machine) {
	m.env = append(m.env, "DISPLAY="+d.display, "DBUS_SESSION_BUS_ADDRESS="+d.bus, "XDG_CURRENT_DESKTOP=Test", "LIBGL_ALWAYS_SOFTWARE=1", "FYNE_SCALE=1")
}

// panel offers a place for tray icons and reports each that registers.
func (d *desk) panel() <-chan string {
	d.t.Helper()
	c, err := dbus.Connect(d.bus)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { c.Close() })
	const name, path = "org.kde.StatusNotifierWatcher", dbus.ObjectPath("/StatusNotifierWatcher")
	p, err := prop.Export(c, path, prop.Map{name: {
		"IsStatusNotifierHostRegistered": {Value: true, Emit: prop.EmitTrue},
		"ProtocolVersion":                {Value: int32(0), Emit: prop.EmitTrue},
		"RegisteredStatusNotifierItems":  {Value: []string{}, Emit: prop.EmitTrue},
	}})
	if err != nil {
		d.t.Fatal(err)
	}
	w := &trayWatcher{items: make(chan string, 16), props: p, name: name}
	if err := c.Export(w, path, name); err != nil {
		d.t.Fatal(err)
	}
	if r, err := c.RequestName(name, dbus.NameFlagDoNotQueue); err != nil || r != dbus.RequestNameReplyPrimaryOwner {
		d.t.Fatalf("own %s: %v %v", name, r, err)
	}
	return w.items
}

type trayWatcher struct {
	items chan string
	props *prop.Properties
	name  string
}

// RegisterStatusNotifierItem is called by a tray icon; service is a bus name or an object path.
func (w *trayWatcher) RegisterStatusNotifierItem(service string, sender dbus.Sender) *dbus.Error {
	w.props.SetMust(w.name, "RegisteredStatusNotifierItems", []string{string(sender) + service})
	select {
	case w.items <- string(sender):
	default:
	}
	return nil
}

// RegisterStatusNotifierHost is part of the interface; nobody else hosts here.
func (w *trayWatcher) RegisterStatusNotifierHost(string) *dbus.Error { return nil }

// xdo runs xdotool on the display.
func (d *desk) xdo(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, "xdotool", args...)
	cmd.Env = append(os.Environ(), "DISPLAY="+d.display)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("xdotool %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), err
}

// window waits for a visible window by the text of its title, and gives it the keyboard.
func (d *desk) window(title string) string {
	d.t.Helper()
	id := ""
	eventually(d.t, "a window called "+title, deadline, func() bool {
		out, err := d.xdo("search", "--onlyvisible", "--name", title)
		id, _, _ = strings.Cut(out, "\n")
		return err == nil && id != ""
	})
	eventually(d.t, "the keyboard goes to "+title, deadline, func() bool {
		if _, err := d.xdo("windowfocus", "--sync", id); err != nil {
			return false
		}
		out, err := d.xdo("getwindowfocus")
		return err == nil && out == id
	})
	return id
}

// key presses keys, one after the other and no faster than a person does, in the window that has the keyboard.
func (d *desk) key(keys ...string) {
	d.t.Helper()
	if _, err := d.xdo(append([]string{"key", "--clearmodifiers", "--delay", "150"}, keys...)...); err != nil {
		d.t.Fatal(err)
	}
}

// shot keeps a picture of the screen where PADDOCK_SHOTS names a folder.
func (d *desk) shot(name string) {
	d.t.Helper()
	dir := os.Getenv("PADDOCK_SHOTS")
	if dir == "" {
		return
	}
	cmd := exec.Command("import", "-window", "root", filepath.Join(dir, name+".png"))
	cmd.Env = append(os.Environ(), "DISPLAY="+d.display)
	if out, err := cmd.CombinedOutput(); err != nil {
		d.t.Logf("picture %s: %v: %s", name, err, out)
	}
}
