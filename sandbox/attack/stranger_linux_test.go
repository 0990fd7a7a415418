package attack

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// stranger is what another user of the machine tries on a running app. Places are told: a stranger may guess well.
type stranger struct {
	Socket, Sockets, Data, Runtime, Log string
	PID                                 int
}

type tried struct {
	name string
	try  func() error // nil is success
}

// attempts are the stranger's.
func (s stranger) attempts() []tried {
	read := func(path string) func() error {
		return func() error { _, err := os.ReadFile(path); return err }
	}
	list := func(path string) func() error {
		return func() error { _, err := os.ReadDir(path); return err }
	}
	process := "/proc/" + strconv.Itoa(s.PID)
	return []tried{
		{"connect to the app's socket", func() error {
			conn, err := net.Dial("unix", s.Socket)
			if err == nil {
				_ = conn.Close()
			}
			return err
		}},
		{"move the app's socket", func() error {
			if err := os.Rename(s.Socket, s.Socket+".gone"); err != nil {
				return err
			}
			return os.Rename(s.Socket+".gone", s.Socket)
		}},
		{"list the socket folder", list(s.Sockets)},
		{"list the data folder", list(s.Data)},
		{"read the app's data", read(filepath.Join(s.Data, "diary"))},
		{"list the runtime folder", list(s.Runtime)},
		{"list the log folder", list(s.Log)},
		{"write into the data", func() error { return os.WriteFile(filepath.Join(s.Data, "planted"), nil, 0o600) }},
		{"signal the app", func() error { return unix.Kill(s.PID, unix.SIGCONT) }},
		{"read its environment", read(process + "/environ")},
		{"read its memory map", read(process + "/maps")},
		{"list its files", list(process + "/fd")},
		{"change its limits", func() error { return unix.Prlimit(s.PID, unix.RLIMIT_CORE, &unix.Rlimit{}, nil) }},
	}
}

// actAsStranger makes the attempts and says what came of each.
func actAsStranger(in io.Reader, out io.Writer) error {
	var s stranger
	if err := json.NewDecoder(in).Decode(&s); err != nil {
		return err
	}
	results := map[string]string{}
	for _, a := range s.attempts() {
		results[a.name] = ""
		if err := a.try(); err != nil {
			results[a.name] = err.Error()
		}
	}
	return json.NewEncoder(out).Encode(results)
}

// A second user of the machine gets nothing from a running app; the user who runs it gets all of it.
func TestAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can act as two users")
	}
	base, bin, deno := prepare(t)
	root := filepath.Join(base, "stranger")
	if err := os.Mkdir(root, 0o700); err != nil {
		t.Fatal(err)
	}
	// The agent's home is 0700 and that alone would do. Open here, so that each folder has to hold by itself.
	s, err := newStage(t.Context(), job{Setting: settingRoot, Root: root, Bin: bin, Deno: deno, Rows: filepath.Join(bin, "rows")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for _, dir := range []string{root, filepath.Join(root, "i"), filepath.Dir(s.near.DataDir)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	target := stranger{
		Socket: s.neighbour.Socket(), Sockets: filepath.Dir(s.neighbour.Socket()), Data: s.near.DataDir, Runtime: s.near.RuntimeDir,
		Log: s.near.LogDir, PID: s.neighbour.PID(),
	}
	for name, result := range visit(t, bin, target, nil) {
		if result != "" {
			t.Errorf("%s: refused to the user who runs the app, which proves nothing: %s", name, result)
		}
	}
	for name, result := range visit(t, bin, target, credential(9)) {
		if result == "" {
			t.Errorf("%s: another user succeeded", name)
		}
	}
}

func visit(t *testing.T, bin string, target stranger, who *syscall.Credential) map[string]string {
	t.Helper()
	text, err := json.Marshal(target)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), filepath.Join(bin, "attack"))
	c.Env, c.Dir, c.Stdin = []string{partVariable + "=" + partStranger}, "/", bytes.NewReader(text)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	out, err := c.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(failed.Stderr)))
	}
	results := map[string]string{}
	if err == nil {
		err = json.Unmarshal(out, &results)
	}
	if err != nil || len(results) != len(target.attempts()) {
		t.Fatalf("the stranger made %d attempts: %v", len(results), err)
	}
	return results
}
