package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// otherUser in the environment makes the test program one of another user's, which tries what the value says.
const otherUser = "PADDOCK_TEST_OTHER_USER"

// sights are what such a program is told. It may know everything that is not a secret, and in the end that too.
type sights struct {
	Home, Runtime, Control, Data, Socket string
	Agent, App                           int // processes
	Port, Host, Link, Cookie             string
	Hold                                 bool // hold a port on ::1, print it, and wait for the end of the input
}

func init() {
	if text := os.Getenv(otherUser); text != "" {
		var s sights
		err := json.Unmarshal([]byte(text), &s)
		if err == nil && s.Hold {
			err = holdPort()
		} else if err == nil {
			err = json.NewEncoder(os.Stdout).Encode(s.try())
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

func holdPort() error {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// try makes the attempts and says what came of each: "" is success.
func (s sights) try() map[string]string {
	read := func(parts ...string) func() error {
		return func() error { _, err := os.ReadFile(filepath.Join(parts...)); return err }
	}
	list := func(dir string) func() error {
		return func() error { _, err := os.ReadDir(dir); return err }
	}
	dial := func(socket string) func() error {
		return func() error {
			c, err := net.Dial("unix", socket)
			if err == nil {
				_ = c.Close()
			}
			return err
		}
	}
	get := func(at, path, cookie string) func() error {
		return func() error {
			client := &http.Client{
				Timeout: deadline, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
				Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
					return (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(at, s.Port))
				}},
			}
			r, err := http.NewRequest(http.MethodGet, "http://"+s.Host+path, nil)
			if err != nil {
				return err
			}
			r.Header.Set("Cookie", cookie)
			resp, err := client.Do(r)
			if err != nil {
				return err
			}
			return resp.Body.Close() // whatever the answer: there is one
		}
	}
	proc := func(pid int, name string) string { return filepath.Join("/proc", strconv.Itoa(pid), name) }
	results := map[string]string{}
	for name, attempt := range map[string]func() error{
		"list the home":                           list(s.Home),
		"read the store":                          read(s.Home, "store.db"),
		"list the apps":                           list(filepath.Join(s.Home, "apps")),
		"read an app's data":                      read(s.Data, "note.txt"),
		"write an app's data":                     func() error { return os.WriteFile(filepath.Join(s.Data, "planted"), nil, 0o600) },
		"list the folder of the sockets":          list(s.Runtime),
		"make a socket there":                     func() error { return os.WriteFile(filepath.Join(s.Runtime, "planted"), nil, 0o600) },
		"connect to the control socket":           dial(s.Control),
		"connect to an app's socket":              dial(s.Socket),
		"read the agent's environment":            read(proc(s.Agent, "environ")),
		"read the agent's memory":                 read(proc(s.Agent, "maps")),
		"list the agent's open files":             list(proc(s.Agent, "fd")),
		"signal the agent":                        func() error { return unix.Kill(s.Agent, 0) },
		"read an app's environment":               read(proc(s.App, "environ")),
		"list an app's open files":                list(proc(s.App, "fd")),
		"look through an app's root":              list(proc(s.App, "root")),
		"signal an app":                           func() error { return unix.Kill(s.App, 0) },
		"ask the front door":                      get("127.0.0.1", "/", ""),
		"ask the front door on ::1":               get("::1", "/", ""),
		"ask with the owner's cookie":             get("127.0.0.1", "/", s.Cookie),
		"ask with the owner's cookie on ::1":      get("::1", "/", s.Cookie),
		"spend the owner's link, which he gave":   get("127.0.0.1", s.Link, ""),
		"spend the owner's link on ::1, the same": get("::1", s.Link, ""),
	} {
		results[name] = ""
		if err := attempt(); err != nil {
			results[name] = err.Error()
		}
	}
	return results
}

// listenBeside tries to take a share of the front door's port, which the kernel gives nobody, the owner included.
func listenBeside(t *testing.T, port string) {
	t.Helper()
	share := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		return errors.Join(c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }), err)
	}}
	for _, at := range []string{"127.0.0.1", "::1", "0.0.0.0", "::"} {
		l, err := share.Listen(t.Context(), "tcp", net.JoinHostPort(at, port))
		if err == nil {
			_ = l.Close()
			t.Errorf("the front door's port can be shared on %s", at)
		}
	}
}

// TestAnotherUser: a second user of the machine gets at no file, socket, process or page of a running Paddock, even with
// the owner's own cookie and link; no command line names one; and a port that he holds is not used.
func TestAnotherUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can act as two users")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	public := t.TempDir()
	program := filepath.Join(public, "program")
	copyProgram(t, self, program)
	for dir := public; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	act := func(s sights, uid uint32) *exec.Cmd {
		t.Helper()
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program)
		cmd.Env, cmd.Dir, cmd.Stderr = []string{otherUser + "=" + string(text)}, "/", os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}, Pdeathsig: syscall.SIGKILL}
		return cmd
	}
	const other = 61580

	m := newMachine(t)
	temp, err := os.MkdirTemp("", "pd") // where files of the agent's would be seen
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(temp) })
	m.env = append(slices.DeleteFunc(m.env, func(v string) bool { return strings.HasPrefix(v, "TMPDIR=") }), "TMPDIR="+temp)
	if err := os.Chmod(temp, 0o711); err != nil {
		t.Fatal(err)
	}

	// Somebody else has the port on ::1: it is not used, and the holder is named.
	holder := act(sights{Hold: true}, other)
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	var taken int
	if _, err := fmt.Fscan(out, &taken); err != nil {
		t.Fatal(err)
	}
	if no := m.refused(5, "agent", "--listen", fmt.Sprint("127.0.0.1:", taken)); !strings.Contains(no.Error.Message, fmt.Sprint("[::1]:", taken)) {
		t.Errorf("with the port taken on ::1: %+v", no)
	}
	if err := errors.Join(in.Close(), holder.Wait()); err != nil {
		t.Error(err)
	}

	a := m.start()
	must[okayInstall](m, "install", m.pack(feeds("feeds.example"), m.key()), "--deny-all")
	o := must[opened](m, "open", "reader")
	v := visit(t, a.gateway, o)
	v.expect("/write", "written")
	info := must[struct{ Paths struct{ Data, Socket string } }](m, "info", "reader")
	_, port, err := net.SplitHostPort(a.gateway)
	if err != nil {
		t.Fatal(err)
	}
	listenBeside(t, port)
	began := time.Now()
	next := must[opened](m, "open", "reader") // a link that nobody has spent
	link := strings.TrimPrefix(next.AppURL, o.Origin)
	r, err := http.NewRequest(http.MethodGet, o.Origin+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	cookies := v.http.Jar.Cookies(r.URL)
	if len(cookies) != 1 || !strings.HasPrefix(link, "/.paddock/open") {
		t.Fatalf("cookies %v, link %s", cookies, link)
	}
	s := sights{
		Home: m.home, Data: info.Paths.Data, Socket: info.Paths.Socket, Runtime: filepath.Dir(filepath.Dir(filepath.Dir(filepath.Dir(info.Paths.Socket)))),
		Agent: a.pid, App: next.PID, Port: port, Host: strings.TrimPrefix(o.Origin, "http://"), Link: link, Cookie: cookies[0].Name + "=" + cookies[0].Value,
	}
	s.Control = filepath.Join(s.Runtime, "control.sock")

	// Command lines are public: none holds a secret.
	for _, pid := range append(below(t, a.pid), a.pid) {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			continue // it has ended
		}
		for what, secret := range map[string]string{"a link": link[strings.LastIndexAny(link, "/=")+1:], "a cookie": cookies[0].Value} {
			if bytes.Contains(line, []byte(secret)) {
				t.Errorf("process %d shows %s: %q", pid, what, line)
			}
		}
	}
	for _, root := range []string{temp, m.home, s.Runtime} {
		private(t, root, root == temp)
	}

	attempt := func(uid uint32) map[string]string {
		t.Helper()
		raw, err := act(s, uid).Output()
		if err != nil {
			t.Fatal(err)
		}
		return decode[map[string]string](t, raw)
	}
	for name, result := range attempt(other) {
		if result == "" {
			t.Errorf("another user succeeds: %s", name)
		}
	}
	if time.Since(began) < tokenAge/2 { // else it may be too old by now
		visit(t, a.gateway, next).expect("/read", "kept") // it was not spent
	}
	// The owner can do all of that, so the attempts prove something.
	for name, result := range attempt(0) {
		if result != "" && !(strings.HasSuffix(name, "::1") && strings.Contains(result, "cannot assign")) {
			t.Errorf("the owner fails: %s: %s", name, result)
		}
	}
	v.expect("/read", "kept")
}

// tokenAge is how long a link is good.
const tokenAge = 30 * time.Second

// private insists that others can do nothing with what is in a folder. shared says that the folder itself is everybody's.
func private(t *testing.T, root string, shared bool) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // it was there a moment ago
		}
		info, err := d.Info()
		if err != nil || path == root && shared || d.Type()&fs.ModeSymlink != 0 {
			return nil //nolint:nilerr // as above
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("others may use %s: %v", path, info.Mode())
		}
		if d.IsDir() { // closed, so whatever is in it is
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
