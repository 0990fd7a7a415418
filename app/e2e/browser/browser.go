package browser

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Kind is a browser.
type Kind string

// The browsers that tests run in.
const (
	Chromium Kind = "chromium"
	Firefox  Kind = "firefox"
)

// Kinds are all of them, for a loop over a table.
var Kinds = []Kind{Chromium, Firefox}

// programs are the names under which a browser is installed, and the variable that names another.
var programs = map[Kind]struct {
	variable string
	names    []string
}{
	Chromium: {"PADDOCK_CHROMIUM", []string{"chromium", "chromium-browser", "google-chrome"}},
	Firefox:  {"PADDOCK_FIREFOX", []string{"firefox-esr", "firefox"}},
}

// patience bounds every wait for a browser. It is long because the machine may be busy; none passes it when well.
const patience = 60 * time.Second

// Options of Start. The zero value is a browser as it comes.
type Options struct {
	Names []string       // host names that lead to 127.0.0.1, beside *.localhost
	Args  []string       // more of the command line
	Env   []string       // more of the environment, NAME=VALUE
	Prefs map[string]any // Firefox: more preferences (string, bool or int)
}

// Browser is a running browser.
type Browser struct {
	Kind     Kind
	Endpoint string // WebSocket of its protocol, for another client of it (chromedp.NewRemoteAllocator)
	Folder   string // holds the profile, HOME and whatever else is to go with it

	driver driver
	cmd    *exec.Cmd
	ended  chan struct{} // the process is gone
	output *tail
}

// driver is what differs between the two protocols. Contexts are tabs and frames, by id.
type driver interface {
	open(ctx context.Context) (id string, err error)
	navigate(ctx context.Context, id, url string) error
	eval(ctx context.Context, id, expression string, activated bool) (text string, err error)
	frames(ctx context.Context, id string) ([]frame, error)
	tabs(ctx context.Context) ([]frame, error)
	cookies(ctx context.Context) ([]Cookie, error)
	screenshot(ctx context.Context, id string) (png string, err error)
	click(ctx context.Context, id string, x, y float64) error
	back(ctx context.Context, id string, steps int) error
	closeTab(ctx context.Context, id string) error
	quit(ctx context.Context) error
	seen() *record
	close()
}

// Program returns the path of a browser's program, and fails the test when there is none.
func Program(t testing.TB, kind Kind) string {
	t.Helper()
	p := programs[kind]
	if path := os.Getenv(p.variable); path != "" {
		return path
	}
	for _, name := range p.names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("no %s found: run packaging/setup.sh test, or set %s", kind, p.variable)
	return ""
}

// versions names the variable in which the Makefile says which browsers and which kernel there are. Nothing is done with
// it but to read it: a result that Go's test cache remembers is then one of these very versions.
const versions = "PADDOCK_TEST_MACHINE"

// Start starts a browser that ends with the test.
func Start(t testing.TB, kind Kind, options Options) *Browser {
	t.Helper()
	_ = os.Getenv(versions)
	folder, err := os.MkdirTemp("", "paddock-browser")
	if err != nil {
		t.Fatal(err)
	}
	b := &Browser{Kind: kind, Folder: folder, ended: make(chan struct{}), output: &tail{}}
	t.Cleanup(func() {
		if err := b.end(); err != nil {
			t.Errorf("end %s: %v", kind, err)
		}
	})
	if err := b.start(Program(t, kind), options); err != nil {
		t.Fatalf("start %s: %v\n%s", kind, err, b.output)
	}
	return b
}

func (b *Browser) start(program string, options Options) error {
	for _, dir := range []string{"home", "tmp", "run", "profile", "downloads"} {
		if err := os.Mkdir(filepath.Join(b.Folder, dir), 0o700); err != nil {
			return fmt.Errorf("make its folders: %w", err)
		}
	}
	home := filepath.Join(b.Folder, "home")
	env := []string{
		"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "TMPDIR=" + filepath.Join(b.Folder, "tmp"), "HOME=" + home,
		"XDG_CONFIG_HOME=" + home + "/config", "XDG_CACHE_HOME=" + home + "/cache", "XDG_DATA_HOME=" + home + "/data",
		"XDG_RUNTIME_DIR=" + filepath.Join(b.Folder, "run"), "DBUS_SESSION_BUS_ADDRESS=disabled:",
	}
	var args []string
	var announced *regexp.Regexp
	switch b.Kind {
	case Chromium:
		args, announced = chromiumArgs(b.Folder, options), regexp.MustCompile(`DevTools listening on (ws://\S+)`)
	case Firefox:
		if err := writePrefs(b.Folder, options); err != nil {
			return err
		}
		env = append(env, "MOZ_HEADLESS=1", "MOZ_CRASHREPORTER_DISABLE=1", "MOZ_REMOTE_ALLOW_SYSTEM_ACCESS=")
		args, announced = firefoxArgs(b.Folder, options), regexp.MustCompile(`WebDriver BiDi listening on (ws://\S+)`)
	default:
		return fmt.Errorf("no browser is called %q", b.Kind)
	}
	b.cmd = exec.Command(program, args...)
	b.cmd.Env, b.cmd.Dir = append(env, options.Env...), home
	b.cmd.SysProcAttr = ownGroup()
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	b.cmd.Stdout, b.cmd.Stderr = in, in
	if err := b.cmd.Start(); err != nil {
		b.cmd = nil
		return errors.Join(err, in.Close(), out.Close())
	}
	_ = in.Close()
	found := make(chan string, 1)
	go b.listen(out, announced, found)
	go func() {
		_ = b.cmd.Wait()
		close(b.ended)
	}()

	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	select {
	case b.Endpoint = <-found:
	case <-b.ended:
		return errors.New("it ended at once")
	case <-ctx.Done():
		return errors.New("it names no endpoint")
	}
	var d driver
	if b.Kind == Chromium {
		d, err = newChromium(ctx, b.Endpoint)
	} else {
		d, err = newFirefox(ctx, b.Endpoint)
	}
	if err != nil {
		return err // and no driver, not even one of a type
	}
	b.driver = d
	return nil
}

// listen reads what the browser prints, until its last process ends.
func (b *Browser) listen(out io.ReadCloser, announced *regexp.Regexp, found chan<- string) {
	defer out.Close()
	lines, said := bufio.NewReader(out), false
	for {
		line, err := lines.ReadString('\n')
		if m := announced.FindStringSubmatch(line); m != nil && !said {
			found <- m[1]
			said = true
		}
		b.output.add(line)
		if err != nil {
			return
		}
	}
}

// end asks the browser to quit, then ends all that is left of it, and removes its folder.
func (b *Browser) end() error {
	if b.cmd != nil {
		if b.driver != nil {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			if b.driver.quit(ctx) == nil {
				select {
				case <-b.ended:
				case <-ctx.Done():
				}
			}
			cancel()
		}
		endGroup(b.cmd.Process.Pid)
		<-b.ended
		if b.driver != nil {
			b.driver.close()
		}
	}
	// Children that are being ended write on for a moment.
	var err error
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if err = os.RemoveAll(b.Folder); err == nil {
			return nil
		}
	}
	return fmt.Errorf("its folder stays: %w", err)
}

// Tabs returns the addresses of all tabs and windows.
func (b *Browser) Tabs(t testing.TB) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tabs, err := b.driver.tabs(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var urls []string
	for _, tab := range tabs {
		urls = append(urls, tab.url)
	}
	return urls
}

// Cookie is a cookie as the browser keeps it.
type Cookie struct {
	Name, Value, Domain, Path, SameSite string
	HTTPOnly, Secure                    bool
}

// Cookies returns every cookie that the browser keeps, of any site.
func (b *Browser) Cookies(t testing.TB) []Cookie {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	all, err := b.driver.cookies(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Request is something that a browser fetched or tried to.
type Request struct {
	Method, URL string
	Status      int    // 0: no answer
	Failed      string // why there is none, in the browser's words
}

// Console returns what pages and the browser itself complained about, oldest first.
func (b *Browser) Console() []string { return b.driver.seen().console() }

// Requests returns what all tabs fetched or tried to, oldest first.
func (b *Browser) Requests() []Request { return b.driver.seen().requests() }

// Output returns the end of what the browser's processes printed.
func (b *Browser) Output() string { return b.output.String() }

// record is what a browser did, bounded.
type record struct {
	mu    sync.Mutex
	lines []string
	order []string // request ids
	byID  map[string]Request
}

const maxRecord = 20000

func newRecord() *record { return &record{byID: map[string]Request{}} }

func (r *record) say(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lines) < maxRecord {
		r.lines = append(r.lines, line)
	}
}

// request changes what is known of one request.
func (r *record) request(id string, change func(*Request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q, known := r.byID[id]
	if !known {
		if len(r.order) >= maxRecord {
			return
		}
		r.order = append(r.order, id)
	}
	change(&q)
	r.byID[id] = q
}

func (r *record) console() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.lines)
}

func (r *record) requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []Request
	for _, id := range r.order {
		all = append(all, r.byID[id])
	}
	return all
}

// tail keeps the last lines that a process printed.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (l *tail) add(line string) {
	const most = 200
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) >= most {
		l.lines = l.lines[1:]
	}
	l.lines = append(l.lines, line)
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "")
}
