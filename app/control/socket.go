package control

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/adrg/xdg"
)

// MaxSocketPath is the longest path of a Unix socket in bytes: sun_path holds 108 with its end mark (unix(7)).
const MaxSocketPath = 107

// EnvControl names the control socket for programs that the agent starts.
const EnvControl = "PADDOCK_CONTROL"

// EnvHome overrides the folder that holds all state.
const EnvHome = "PADDOCK_HOME"

// Home is the folder that holds all state: dir when it is not empty, else PADDOCK_HOME, else the
// platform's data folder. The result is absolute and clean. Nothing is created.
func Home(dir string) (string, error) {
	if dir == "" {
		dir = os.Getenv(EnvHome)
	}
	if dir == "" {
		dir = filepath.Join(xdg.DataHome, "paddock")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("home folder %q: %w", dir, err)
	}
	return abs, nil
}

// longestTail is the longest socket path below the runtime folder, in bytes: that of an app's instance.
const longestTail = len("/i/") + 20 + len("/p/proxy.sock")

// RuntimeDir is the folder that holds the sockets of the agent whose state is in home. It is named by a
// hash of home, so that a long home never makes a socket path too long, and lies under XDG_RUNTIME_DIR
// where that is there, ours and short enough, else in the temp folder. It is not created here: see
// MakeRuntimeDir.
func RuntimeDir(home string) string {
	sum := sha256.Sum256([]byte(filepath.Clean(home)))
	name := "paddock-" + hex.EncodeToString(sum[:8])
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" && filepath.IsAbs(dir) {
		full := filepath.Join(dir, name)
		if st, err := os.Stat(dir); err == nil && st.IsDir() && OwnedByUs(st) && len(full)+longestTail <= MaxSocketPath {
			return full
		}
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("%s-%d", name, os.Getuid()))
}

// SocketPath is the control socket of the agent whose state is in home. It is an error when the sockets of
// apps in the same folder would not fit MaxSocketPath: better to say so at the start than at every launch.
func SocketPath(home string) (string, error) {
	dir := RuntimeDir(home)
	if n := len(dir) + longestTail; n > MaxSocketPath {
		return "", fmt.Errorf("the folder for sockets, %s, leads to paths of %d bytes and the system allows %d: set XDG_RUNTIME_DIR or TMPDIR to a shorter folder", dir, n, MaxSocketPath)
	}
	return filepath.Join(dir, "control.sock"), nil
}

// ErrForeignRuntimeDir means that the sockets' folder exists but is not safe to use.
var ErrForeignRuntimeDir = errors.New("the folder for sockets is not ours alone")

// MakeRuntimeDir makes the sockets' folder with mode 0700. A folder that is there already is used only if
// it is a real folder (no link), owned by this user and closed to others: in a shared temp folder somebody
// else could have made it first.
func MakeRuntimeDir(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if err == nil {
		return os.Chmod(dir, 0o700) // umask may only narrow, but be exact
	}
	if !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the folder for sockets: %w", err)
	}
	return CheckRuntimeDir(dir)
}

// CheckRuntimeDir is the check of MakeRuntimeDir on a folder that exists. Clients use it before they
// trust who answers.
func CheckRuntimeDir(dir string) error {
	st, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !st.IsDir() || !OwnedByUs(st) || st.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%w: %s must be a folder of this user with mode 0700; remove it and start again", ErrForeignRuntimeDir, dir)
	}
	return nil
}
