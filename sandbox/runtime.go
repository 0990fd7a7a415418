package sandbox

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// runtimeIdentity tells one state of an executable file from another without reading it. The change time is the one
// that a program cannot set back (inode(7)).
type runtimeIdentity struct {
	path     string
	size     int64
	modified time.Time
	file     fileIdentity
}

// fileIdentity is what only the file system writes; zero where it does not say.
type fileIdentity struct {
	device, inode uint64
	changed       time.Time
}

// runtimeFacts is what is known about the Deno executable.
type runtimeFacts struct {
	sha256 string
	files  runtimeFiles
}

// denoRuntime hashes and inspects the Deno executable once for each state of its file.
type denoRuntime struct {
	mu    sync.Mutex
	known runtimeIdentity
	facts runtimeFacts
}

// inspect returns the facts, or a *StartError when the file is missing or is not the pinned one.
func (d *denoRuntime) inspect(path, pinned string) (runtimeFacts, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	info, err := os.Stat(path)
	if err == nil && (!info.Mode().IsRegular() || runtime.GOOS != "windows" && info.Mode()&0o111 == 0) {
		err = fmt.Errorf("%s is no executable file", path)
	}
	if err != nil {
		return runtimeFacts{}, &StartError{Reason: StartRuntimeMissing, Err: err}
	}
	id := runtimeIdentity{path: path, size: info.Size(), modified: info.ModTime(), file: identify(info)}
	if id != d.known {
		sum, err := hashFile(path)
		if err != nil {
			return runtimeFacts{}, &StartError{Reason: StartRuntimeMissing, Err: err}
		}
		facts := runtimeFacts{sha256: sum}
		altered := pinned != "" && !strings.EqualFold(pinned, sum)
		if runtime.GOOS == "linux" && !altered { // what was altered is not looked into
			if facts.files, err = findLibraries(path); err != nil {
				return runtimeFacts{}, &StartError{Reason: StartRuntimeMissing, Err: err}
			}
		}
		d.known, d.facts = id, facts
	}
	if pinned != "" && !strings.EqualFold(pinned, d.facts.sha256) {
		return runtimeFacts{}, &StartError{
			Reason: StartRuntimeAltered,
			Err:    fmt.Errorf("%s has the SHA-256 %s, expected %s", path, d.facts.sha256, pinned),
		}
	}
	return d.facts, nil
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("hash %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// libraryFolders is where dynamic linkers look, on the distributions that Deno's Linux build runs on.
var libraryFolders = []string{
	"/lib64", "/usr/lib64", "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu",
	"/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/lib", "/usr/lib",
}

// findLibraries reads from the executable which shared objects it needs, and from those which they need.
func findLibraries(path string) (runtimeFiles, error) {
	var found runtimeFiles
	interpreter, needed, err := readELF(path)
	if err != nil {
		return found, fmt.Errorf("%s is no program for this machine: %w", path, err)
	}
	found.interpreter = interpreter
	seen := map[string]bool{}
	for len(needed) > 0 {
		name := needed[0]
		needed = needed[1:]
		if seen[name] || strings.ContainsRune(name, '/') {
			continue
		}
		seen[name] = true
		for _, folder := range libraryFolders {
			library := filepath.Join(folder, name)
			_, more, err := readELF(library)
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			if err == nil {
				found.libraries = append(found.libraries, library)
				needed = append(needed, more...)
				break
			}
		}
	}
	slices.Sort(found.libraries)
	return found, nil
}

func readELF(path string) (interpreter string, needed []string, err error) {
	f, err := elf.Open(path)
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = f.Close() }()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP && p.Filesz < 4096 {
			text, err := io.ReadAll(p.Open())
			if err != nil {
				return "", nil, err
			}
			interpreter = strings.TrimRight(string(text), "\x00")
		}
	}
	needed, err = f.ImportedLibraries()
	return interpreter, needed, err
}

// nodeServer and nodeClients are the modules of Node with which an app listens and connects. A bundle names them in
// an import, a require, or a getBuiltinModule. They cost 20 to 30 ms of start-up, so the entry module loads them only
// when the app does. An app that hides the name gets Deno's own refusal to listen or to connect.
var (
	nodeServer  = quotations("http")
	nodeClients = quotations("http", "https", "http2", "net", "tls", "dgram")
)

func quotations(modules ...string) (all [][]byte) {
	for _, name := range modules {
		for _, quote := range []string{`"`, `'`} {
			all = append(all, []byte(quote+name+quote), []byte(quote+"node:"+name+quote))
		}
	}
	return all
}

// mentions reports whether the app's module holds one of the texts, each at most 32 bytes long.
func mentions(path string, texts [][]byte) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	// The memory is new each time: for a small module most of it would be touched for nothing.
	window := int(min(max(info.Size()+1, 64), 256<<10))
	buf := make([]byte, 0, window+32)
	for {
		n, err := io.ReadFull(f, buf[len(buf):window])
		buf = buf[:len(buf)+n]
		if slices.ContainsFunc(texts, func(text []byte) bool { return bytes.Contains(buf, text) }) {
			return true, nil
		}
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return false, nil
			}
			return false, err
		}
		keep := min(32, len(buf))
		buf = buf[:copy(buf, buf[len(buf)-keep:])] // a name may lie across two windows
	}
}
