//go:build cgo && linux

package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/prop"
)

// patience is for a loaded machine; nothing waits that long when it works.
const patience = 60 * time.Second

// eventually polls until ok, which also says what it saw last.
func eventually(t *testing.T, what string, ok func() (bool, any)) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		done, saw := ok()
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen; last seen: %v", what, saw)
		}
		<-tick.C
	}
}

// session is an X server and a session bus of the test's own.
type session struct {
	display string
	bus     string
	xserver *exec.Cmd
	temp    string // TMPDIR of what is started in it
	opened  string // the browser's stand-in writes each URL here
}

func startSession(t *testing.T) *session {
	t.Helper()
	s := &session{temp: t.TempDir()}
	s.opened = filepath.Join(t.TempDir(), "urls")

	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.xserver = exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", "320x240x24", "-nolisten", "tcp")
	s.xserver.ExtraFiles = []*os.File{write}
	if err := s.xserver.Start(); err != nil {
		t.Fatalf("start Xvfb (package xvfb): %v", err)
	}
	write.Close()
	t.Cleanup(func() { _ = s.xserver.Process.Signal(os.Interrupt); _ = s.xserver.Wait() })
	number, err := bufio.NewReader(read).ReadString('\n')
	read.Close()
	if err != nil {
		t.Fatalf("Xvfb did not name its display: %v", err)
	}
	s.display = ":" + strings.TrimSpace(number)

	// The bus lives until its command ends, which is when standard input closes.
	bus := exec.Command("dbus-run-session", "--", "sh", "-c", `echo "$DBUS_SESSION_BUS_ADDRESS"; exec cat`)
	bus.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir(), "HOME="+t.TempDir())
	stdin, err := bus.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := bus.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := bus.Start(); err != nil {
		t.Fatalf("start dbus-run-session (package dbus): %v", err)
	}
	t.Cleanup(func() { stdin.Close(); _ = bus.Wait() })
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("dbus-run-session did not name its bus: %v", err)
	}
	s.bus = strings.TrimSpace(address)
	return s
}

// tray starts paddock-tray in the session.
func (s *session) tray(t *testing.T, socket string, args ...string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tools := t.TempDir()
	script := "#!/bin/sh\nprintf '%s %s\\n' \"$1\" \"$TMPDIR\" >>'" + s.opened + "'\n"
	if err := os.WriteFile(filepath.Join(tools, "xdg-open"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(exe, args...), ended: make(chan struct{})}
	p.cmd.Env = []string{
		"PATH=" + tools + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TMPDIR=" + s.temp, "LANG=C.UTF-8",
		"DISPLAY=" + s.display, "DBUS_SESSION_BUS_ADDRESS=" + s.bus, envControl + "=" + socket, "NO_AT_BRIDGE=1", envProgram + "=1",
	}
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.started = time.Now()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // the exit code is read from ProcessState
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("paddock-tray said: %s", p.stderr.String())
		}
	})
	return p
}

// process is a running paddock-tray.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr quiet
	started        time.Time
	ended          chan struct{}
}

// exit waits for the process to end.
func (p *process) exit(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatal("paddock-tray did not end")
		return -1
	}
}

// panel is a small StatusNotifierWatcher and host: what a desktop's panel is to the tray.
type panel struct {
	conn  *dbus.Conn
	items chan dbusItem
}

type dbusItem struct{ bus, path string }

// RegisterStatusNotifierItem is called by libayatana-appindicator with an object path.
func (p *panel) RegisterStatusNotifierItem(service string, sender dbus.Sender) *dbus.Error {
	it := dbusItem{bus: string(sender), path: "/StatusNotifierItem"}
	if strings.HasPrefix(service, "/") {
		it.path = service
	}
	p.items <- it
	return nil
}

// RegisterStatusNotifierHost is part of the interface.
func (p *panel) RegisterStatusNotifierHost(string) *dbus.Error { return nil }

func (s *session) panel(t *testing.T, hosted bool) *panel {
	t.Helper()
	conn, err := dbus.Connect(s.bus)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	p := &panel{conn: conn, items: make(chan dbusItem, 8)}
	if err := conn.Export(p, watcherPath, watcherName); err != nil {
		t.Fatal(err)
	}
	if _, err := prop.Export(conn, watcherPath, prop.Map{watcherName: {
		"IsStatusNotifierHostRegistered": {Value: hosted},
		"ProtocolVersion":                {Value: int32(0)},
		"RegisteredStatusNotifierItems":  {Value: []string{}},
	}}); err != nil {
		t.Fatal(err)
	}
	if r, err := conn.RequestName(watcherName, dbus.NameFlagDoNotQueue); err != nil || r != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("own %s: %v %v", watcherName, r, err)
	}
	return p
}

// icon waits for the tray to register and returns its icon on the panel.
func (p *panel) icon(t *testing.T) *trayIcon {
	t.Helper()
	select {
	case it := <-p.items:
		return &trayIcon{item: p.conn.Object(it.bus, dbus.ObjectPath(it.path)), conn: p.conn, bus: it.bus}
	case <-time.After(patience):
		t.Fatal("no icon was registered")
		return nil
	}
}

// trayIcon is the tray as its panel sees it.
type trayIcon struct {
	conn *dbus.Conn
	bus  string
	item dbus.BusObject
}

func (i *trayIcon) file() string {
	v, err := i.item.GetProperty("org.kde.StatusNotifierItem.IconName")
	if err != nil {
		return ""
	}
	name, _ := v.Value().(string)
	return name
}

func (i *trayIcon) menu() (dbus.BusObject, error) {
	v, err := i.item.GetProperty("org.kde.StatusNotifierItem.Menu")
	if err != nil {
		return nil, err
	}
	return i.conn.Object(i.bus, v.Value().(dbus.ObjectPath)), nil
}

// node is a menu item as com.canonical.dbusmenu gives it.
type node struct {
	id       int32
	props    map[string]dbus.Variant
	children []node
}

func parseNode(v any) node {
	s := v.([]any)
	n := node{id: s[0].(int32), props: s[1].(map[string]dbus.Variant)}
	for _, c := range s[2].([]dbus.Variant) {
		n.children = append(n.children, parseNode(c.Value()))
	}
	return n
}

func (n node) visible() bool {
	v, ok := n.props["visible"]
	return !ok || v.Value().(bool)
}

// label is the text a panel shows: an underscore marks a mnemonic and a doubled one is a literal.
func (n node) label() string {
	v, ok := n.props["label"]
	if !ok {
		return ""
	}
	raw := []rune(v.Value().(string))
	var out []rune
	for i := 0; i < len(raw); i++ {
		if raw[i] == '_' && i+1 < len(raw) {
			i++
		}
		out = append(out, raw[i])
	}
	return string(out)
}

// seen is what the user sees, in the order of lines(Menu); separators are left out.
func (n node) seen(indent string) (out []string) {
	for _, c := range n.children {
		if kind, ok := c.props["type"]; ok && kind.Value() == "separator" || !c.visible() {
			continue
		}
		out = append(out, indent+c.label())
		out = append(out, c.seen(indent+"  ")...)
	}
	return out
}

// find follows visible labels down.
func (n node) find(path ...string) (node, bool) {
	if len(path) == 0 {
		return n, true
	}
	for _, c := range n.children {
		if c.visible() && c.label() == path[0] {
			return c.find(path[1:]...)
		}
	}
	return node{}, false
}

func (i *trayIcon) layout() (node, error) {
	menu, err := i.menu()
	if err != nil {
		return node{}, err
	}
	var revision uint32
	var root []any
	if err := menu.Call("com.canonical.dbusmenu.GetLayout", 0, int32(0), int32(-1), []string{}).Store(&revision, &root); err != nil {
		return node{}, err
	}
	return parseNode(root), nil
}

// shows waits until the panel shows exactly these lines.
func (i *trayIcon) shows(t *testing.T, want []string) {
	t.Helper()
	eventually(t, "menu "+strings.Join(want, " | "), func() (bool, any) {
		root, err := i.layout()
		if err != nil {
			return false, err
		}
		got := root.seen("")
		return slices.Equal(got, want), strings.Join(got, " | ")
	})
}

// click clicks the item under these labels.
func (i *trayIcon) click(t *testing.T, path ...string) {
	t.Helper()
	root, err := i.layout()
	if err != nil {
		t.Fatal(err)
	}
	n, ok := root.find(path...)
	if !ok {
		t.Fatalf("no item %q in %q", path, root.seen(""))
	}
	menu, err := i.menu()
	if err != nil {
		t.Fatal(err)
	}
	if err := menu.Call("com.canonical.dbusmenu.Event", 0, n.id, "clicked", dbus.MakeVariant(""), uint32(0)).Err; err != nil {
		t.Fatal(err)
	}
}
