// Package entry holds the host's entry module, the JavaScript that every app's Deno runs first, and writes it where
// Deno can read it and no app can write. A second module goes with it, for apps that use Node's clients.
//
// The modules are plain JavaScript so that nothing has to be compiled before it runs, and embedded so that what runs is
// what was built: Install compares the file byte by byte each time, which costs a few microseconds.
//
// The package must not know how Deno is started or what an app may do.
package entry

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

//go:embed entry.js
var source []byte

//go:embed outgoing.js
var outgoing []byte

// Files are the absolute paths of the installed modules.
type Files struct {
	Dir   string // holds nothing but the modules; readable by every app, writable by none
	Entry string // what Deno runs; its one argument is Config as JSON
}

// Slot is a file or folder the user picked, as the app sees it.
type Slot struct {
	Path   string `json:"path"`
	Write  bool   `json:"write"`
	Folder bool   `json:"folder"`
}

// Config is the entry module's argument. The app can read it: it holds no secret.
type Config struct {
	Socket     string          `json:"socket"`     // the instance's socket, answered by Deno.serve
	NodeSocket string          `json:"nodeSocket"` // a second one answered by node:http, "" when the app has no use for it
	App        string          `json:"app"`        // file URL of the app's module
	Data       string          `json:"data"`       // the app's data folder
	Port       int             `json:"port"`       // the port the app believes to listen on
	Channel    bool            `json:"channel"`    // the host will open its channel: wait for it before the app is loaded
	NodeOS     bool            `json:"nodeOS"`     // the app mentions node:os: give neutral answers there too
	Proxy      string          `json:"proxy"`      // the socket of the app's way to the network; "" without one
	NodeClient bool            `json:"nodeClient"` // the app mentions one of Node's clients: lead them through Proxy
	Memory     int64           `json:"memory"`     // bytes, the neutral answer to "how much memory is there"
	Sys        []string        `json:"sys"`        // system facts the user granted: these stay true
	Slots      map[string]Slot `json:"slots"`
}

// Hash names the present version of the modules: the SHA-256 of their texts, in hexadecimal.
func Hash() string {
	sum := sha256.Sum256(slices.Concat(source, outgoing))
	return hex.EncodeToString(sum[:])
}

// At is where Install puts the module below root, without looking.
func At(root string) Files {
	dir := filepath.Join(root, Hash())
	return Files{Dir: dir, Entry: filepath.Join(dir, "entry.js")}
}

// Install makes sure that root/HASH holds exactly the embedded modules, writing what is missing or differs, and says
// where they are. Folders are made 0755 below root, files 0444.
func Install(root string) (Files, error) {
	files := At(root)
	if err := os.MkdirAll(files.Dir, 0o755); err != nil {
		return Files{}, fmt.Errorf("make the entry module's folder: %w", err)
	}
	for path, text := range map[string][]byte{files.Entry: source, filepath.Join(files.Dir, "outgoing.js"): outgoing} {
		if same(path, text) {
			continue
		}
		if err := write(path, text); err != nil {
			return Files{}, fmt.Errorf("write the entry module: %w", err)
		}
	}
	return files, nil
}

// same reports whether path is a plain file, not a link to one, that holds exactly text and that its owner cannot
// write by accident.
func same(path string, text []byte) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm() != 0o444 || info.Size() != int64(len(text)) {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	have := make([]byte, len(text)+1)
	n, err := io.ReadFull(f, have)
	return errors.Is(err, io.ErrUnexpectedEOF) && bytes.Equal(have[:n], text)
}

// write replaces path by a new file in one step, so that no Deno ever reads half a module.
func write(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(text)
	if err == nil {
		err = f.Chmod(0o444)
	}
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a folder: remove it", path)
	}
	return os.Rename(f.Name(), path)
}
