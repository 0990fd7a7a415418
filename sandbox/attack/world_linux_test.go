package attack

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"debug/elf"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// secretText is what the attempts are after. What it is of is for whoever reads a failure.
func secretText(of string) string { return "PADDOCK-SECRET " + of + "\n" }

// secretVariable is in the environment of the worker, which is the agent of the app under attack.
const secretVariable = "PADDOCK_ATTACK_TOKEN=PADDOCK-SECRET-token"

func addressOf(b []byte) uintptr { return uintptr(unsafe.Pointer(&b[0])) }

// world is what lies around an app: a home with secrets, another program, servers. It is made by the worker, so that
// all of it belongs to the user who runs the app, and nothing but the walls keeps the app away.
type world struct {
	root string
	fixtures
	signpost string     // a name that only who follows the link home/signpost learns
	native   []byte     // what is in Library: an app brings its own native code along
	placing  sync.Mutex // held by twin
	twins    map[string]bool
	closers  []func()
}

// fixtures are told to the app, so that no attempt fails for not knowing where to look. Keys are what the rows use.
type fixtures struct {
	Root, Home, Outside, Secret string
	Library, Linker, Shell      string // files of the system, links resolved: one that Deno does not load, the dynamic linker, sh
	UID, GID                    int
	Victim                      int
	VictimAddress               uint64
	Net                         servers
}

func newWorld(ctx context.Context, root string) (_ *world, err error) {
	w := &world{root: root, twins: map[string]bool{}}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	w.Root, w.Home, w.Outside = root, filepath.Join(root, "home"), filepath.Join(root, "outside")
	w.Secret = filepath.Join(w.Home, ".ssh", "id_paddock")
	w.UID, w.GID = os.Getuid(), os.Getgid()
	if err := w.makeFiles(); err != nil {
		return nil, fmt.Errorf("lay out the home: %w", err)
	}
	if w.Library, err = someLibrary(); err != nil {
		return nil, err
	}
	if w.native, err = os.ReadFile(w.Library); err != nil {
		return nil, err
	}
	if w.Shell, w.Linker, err = shellAndLinker(); err != nil {
		return nil, err
	}
	if err := w.startVictim(ctx); err != nil {
		return nil, fmt.Errorf("start a victim: %w", err)
	}
	if err := w.startServers(); err != nil {
		return nil, fmt.Errorf("start servers: %w", err)
	}
	return w, nil
}

func (w *world) close() {
	for i := len(w.closers) - 1; i >= 0; i-- {
		w.closers[i]()
	}
	w.closers = nil
}

func (w *world) onClose(fn func()) { w.closers = append(w.closers, fn) }

// answerModule is a WebAssembly module that exports answer() = 42.
var answerModule = []byte{
	0, 'a', 's', 'm', 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7f, 3, 2, 1, 0, 7, 10, 1, 6, 'a', 'n', 's', 'w', 'e', 'r', 0, 0,
	10, 6, 1, 4, 0, 0x41, 42, 0x0b,
}

func (w *world) makeFiles() error {
	for _, dir := range []string{w.Outside, filepath.Dir(w.Secret), filepath.Join(w.Home, "tree-1", "in"), filepath.Join(w.Home, "tree-2", "in")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	files := map[string]string{
		".ssh/id_paddock": secretText("key"),
		"secret.json":     `{"text": "PADDOCK-SECRET json"}`,
		"secret.js":       `export default "PADDOCK-SECRET module";`,
		"secret.cjs":      `module.exports = "PADDOCK-SECRET script";`,
		"worker.js":       `postMessage("PADDOCK-SECRET worker");`,
		"secret.wasm":     string(answerModule),
		"secret.env":      "PADDOCK_STOLEN=PADDOCK-SECRET variable\n",
		"written-1":       "full",
		"removed-1":       "x", "removed-2": "x", "mode-1": "x", "watched-1": "x",
	}
	for i := 1; i <= 3; i++ {
		files["moved-"+strconv.Itoa(i)] = secretText("moved")
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(w.Home, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if err := os.Symlink(w.Secret, filepath.Join(w.Home, "link")); err != nil {
		return err
	}
	w.signpost = randomName()
	led := filepath.Join(w.Home, w.signpost)
	if err := os.WriteFile(led, []byte(secretText("signpost")), 0o600); err != nil {
		return err
	}
	if err := os.Symlink(led, filepath.Join(w.Home, "signpost")); err != nil {
		return err
	}
	return unix.Setxattr(w.Secret, "user.paddock", []byte(secretText("attribute")), 0)
}

// makeDatabase lets Deno write a SQLite file: there is no other library for it here.
func (w *world) makeDatabase(ctx context.Context, deno string) error {
	c := exec.CommandContext(ctx, deno, "eval", "--no-config", fmt.Sprintf(`
import { DatabaseSync } from "node:sqlite";
new DatabaseSync(%q).exec("create table t (text); insert into t values ('PADDOCK-SECRET row')");`, filepath.Join(w.Home, "secret.db")))
	c.Dir = w.Outside
	c.Env = []string{"HOME=" + w.Outside, "DENO_DIR=" + filepath.Join(w.Outside, "deno")}
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("make a database: %w\n%s", err, out)
	}
	return nil
}

// damage says what is no longer as it was laid out, where no attempt may have succeeded.
func (w *world) damage() (what []string) {
	for name, want := range map[string]string{".ssh/id_paddock": secretText("key"), "written-1": "full", "removed-1": "x", "removed-2": "x"} {
		if have, err := os.ReadFile(filepath.Join(w.Home, name)); err != nil || string(have) != want {
			what = append(what, fmt.Sprintf("%s holds %q now (%v)", name, have, err))
		}
	}
	for _, name := range []string{"tree-1/in", "tree-2/in"} {
		if _, err := os.Stat(filepath.Join(w.Home, name)); err != nil {
			what = append(what, err.Error())
		}
	}
	for _, name := range []string{".bashrc", ".config", ".ssh/authorized_keys"} {
		if _, err := os.Lstat(filepath.Join(w.Home, name)); err == nil {
			what = append(what, name+" was made")
		}
	}
	entries, err := os.ReadDir(w.Outside)
	if err != nil {
		what = append(what, err.Error())
	}
	for _, e := range entries {
		if e.Name() != "deno" {
			what = append(what, "the folder outside holds "+e.Name())
		}
	}
	return what
}

// someLibrary is a shared library that Deno does not load by itself.
func someLibrary() (string, error) {
	for _, pattern := range []string{"/lib/*-linux-gnu/libcrypt.so.1", "/lib/*-linux-gnu/libutil.so.1", "/lib/*-linux-gnu/libanl.so.1", "/lib*/libutil.so.1"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return filepath.EvalSymlinks(found[0])
		}
	}
	return "", fmt.Errorf("this machine has none of the libraries that the tests load")
}

// shellAndLinker are /bin/sh and the program that its header asks for.
func shellAndLinker() (shell, linker string, err error) {
	if shell, err = filepath.EvalSymlinks("/bin/sh"); err != nil {
		return "", "", err
	}
	f, err := elf.Open(shell)
	if err != nil {
		return "", "", err
	}
	defer func() { _ = f.Close() }()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			text, err := io.ReadAll(p.Open())
			return shell, strings.TrimRight(string(text), "\x00"), err
		}
	}
	return "", "", fmt.Errorf("%s asks for no dynamic linker", shell)
}

// machine is what is true of this machine and told to apps only when granted.
type machine struct {
	Hostname string `json:"hostname"`
	Release  string `json:"release"`
	Memory   uint64 `json:"memory"` // bytes
}

func thisMachine() machine {
	var name unix.Utsname
	var info unix.Sysinfo_t
	_, _ = unix.Uname(&name), unix.Sysinfo(&info)
	return machine{
		Hostname: unix.ByteSliceToString(name.Nodename[:]), Release: unix.ByteSliceToString(name.Release[:]),
		Memory: uint64(info.Totalram) * uint64(info.Unit),
	}
}

func (w *world) startVictim(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := exec.CommandContext(ctx, self)
	c.Env = []string{partVariable + "=" + partVictim, secretVariable}
	in, err := c.StdinPipe()
	if err != nil {
		return err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	var complaints bytes.Buffer
	c.Stderr = &complaints
	if err := c.Start(); err != nil {
		return err
	}
	w.onClose(func() {
		_ = in.Close()
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("%w\n%s", err, complaints.String())
	}
	w.Victim = c.Process.Pid
	w.VictimAddress, err = strconv.ParseUint(strings.TrimSpace(line), 10, 64)
	return err
}

// randomName is for names that all programs of a machine share, such as abstract sockets.
func randomName() string {
	b := make([]byte, 8)
	if _, err := rand.Read(b); err != nil {
		panic(err) // never fails, says its documentation
	}
	return "paddock-attack-" + hex.EncodeToString(b)
}

// acceptAll answers every connection of l with text and closes it.
func acceptAll(l net.Listener, text string) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = conn.Close() }()
			// who speaks HTTP speaks first
			_ = conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			_, _ = conn.Read(make([]byte, 4096))
			_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
			_, _ = io.WriteString(conn, text)
			_, _ = io.Copy(io.Discard, conn)
		}()
	}
}
