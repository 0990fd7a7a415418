package gateway

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// A browser gets an address on its command line, which every user of the machine may read. Where connections of other
// users are refused (see peers), a link seen there is worth nothing to them. Where they are not, the browser is handed
// a file instead that only this user can read, and that leads it to the link once (security.md, rule 20).

// maxLinkFiles is how many such files there are at most, all apps together; the oldest goes first.
const maxLinkFiles = 64

// linkFileName is how their names look; "*" stands for random digits.
const linkFileName = "open-*.html"

// linkFilePolicy is what such a file says of itself, having no headers: it shows its words and goes on, nothing else.
var linkFilePolicy = "default-src 'none'; style-src " + hashSource(pageStyle) + "; script-src " + hashSource(enterScript) +
	"; form-action 'none'; base-uri 'none'"

// linkFiles are the files that lead browsers to links which are not spent yet.
type linkFiles struct {
	dir  string // "": there are none
	mu   sync.Mutex
	held []linkFile // oldest first
}

type linkFile struct {
	path    string
	install string
	token   [32]byte // hash of the link's
	expiry  time.Time
}

// sweep removes what an agent that was killed left behind. The links ended with it.
func (f *linkFiles) sweep() error {
	if f.dir == "" {
		return nil
	}
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return fmt.Errorf("look for old link files: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if ours, _ := filepath.Match(linkFileName, e.Name()); ours {
			errs = append(errs, os.Remove(filepath.Join(f.dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// add writes one with mode 0600, and returns its path.
func (f *linkFiles) add(one linkFile, text []byte) (string, error) {
	file, err := os.CreateTemp(f.dir, linkFileName) // 0600 and O_EXCL
	if err != nil {
		return "", err
	}
	one.path = file.Name()
	_, err = file.Write(text)
	if err = errors.Join(err, file.Close()); err != nil {
		return "", errors.Join(err, os.Remove(one.path))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held = append(f.held, one); len(f.held) > maxLinkFiles {
		err = os.Remove(f.held[0].path)
		f.held = slices.Delete(f.held, 0, 1)
	}
	return one.path, err
}

// drop removes those that match.
func (f *linkFiles) drop(which func(linkFile) bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var errs []error
	f.held = slices.DeleteFunc(f.held, func(one linkFile) bool {
		if !which(one) {
			return false
		}
		if err := os.Remove(one.path); err != nil && !os.IsNotExist(err) {
			errs = append(errs, err)
		}
		return true
	})
	return errors.Join(errs...)
}

// dropFiles is drop, with what fails in the log: what is left is worth nothing, and the next start sweeps it up.
func (g *Gateway) dropFiles(which func(linkFile) bool) {
	if err := g.files.drop(which); err != nil {
		g.log.Warn("link file not removed", "err", err)
	}
}

// LinkFile returns the file:// address of a new file that leads a browser to link, which Mint made as a browser's and
// which is not spent. It is for the browser's command line where PeerCheck says that other users are not told apart.
// Only this user can read the file; it is gone once the link is spent, and at the latest sweepEvery after its end.
func (g *Gateway) LinkFile(link string) (string, error) {
	u, err := url.Parse(link)
	if err != nil {
		return "", fmt.Errorf("make a link file: %w", err)
	}
	s := g.siteOfShell(u.Host)
	hash := sha256.Sum256([]byte(u.Query().Get("t")))
	if s == nil || u.Path != openPath {
		return "", fmt.Errorf("make a link file: %w", ErrUnknownInstall)
	}
	expiry, live := s.tokens.until(hash)
	if !live {
		return "", errors.New("make a link file: the link is spent")
	}
	if g.files.dir == "" {
		return "", errors.New("make a link file: no folder was named for such files")
	}
	p := page{Title: "Opening " + s.name() + "…", Link: link, LinkLabel: "Continue", Enter: true}
	text, err := p.render(linkFilePolicy, App{Name: s.name()})
	if err != nil {
		return "", fmt.Errorf("make a link file: %w", err)
	}
	path, err := g.files.add(linkFile{install: s.install, token: hash, expiry: expiry}, text)
	if err != nil {
		return "", fmt.Errorf("make a link file: %w", err)
	}
	if _, live := s.tokens.until(hash); !live { // ended meanwhile: whoever ended it may have been before the file
		g.dropFiles(func(one linkFile) bool { return one.token == hash })
	}
	return fileURL(path), nil
}

// fileURL is the address of an absolute path (RFC 8089).
func fileURL(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/…
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}
