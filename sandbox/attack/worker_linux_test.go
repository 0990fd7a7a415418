package attack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"paddock/sandbox"
	"paddock/sandbox/entry"
	"paddock/sandbox/permission"
)

// job is what a worker is told: run all rows in one setting.
type job struct {
	Setting setting
	Root    string // the worker's own folder; short, because sockets lie in it
	Bin     string // the launchers
	Deno    string
	Rows    string // the folder of testdata
	Only    string // run rows whose name contains this; "" runs all
}

// outcome is what a row came to.
type outcome struct {
	Row       string
	Succeeded bool
	Felt      bool   // harmless rows: the app itself was hit
	Breach    string // the budget (sandbox.Budget…) over which the watchdog ended the app, "" if it did not
	Detail    string
	Took      time.Duration
}

// report is what a worker answers.
type report struct {
	Outcomes []outcome
	Damage   []string
	Level    string // what the supervisor says of the walls
	Open     string
	Error    string
}

func actAsWorker(in io.Reader, out io.Writer) error {
	var j job
	if err := json.NewDecoder(in).Decode(&j); err != nil {
		return err
	}
	r := runJob(j)
	return json.NewEncoder(out).Encode(r)
}

func runJob(j job) (r report) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	s, err := newStage(ctx, j)
	if err != nil {
		return report{Error: err.Error()}
	}
	defer s.close()
	// Rows that wait for the watchdog, or for an app that hangs, do so beside the rows that share one app.
	lanes := []*stage{s, s.beside()}
	var running sync.WaitGroup
	for i, lane := range lanes {
		running.Go(func() { lane.runAll(func(r row) bool { return r.ends() == (i == 1) }) })
	}
	running.Wait()
	r = report{Level: s.level, Open: s.opens}
	if j.Setting == settingBoth || j.Setting == settingRoot {
		r.Damage = s.world.damage()
	}
	for _, lane := range lanes {
		r.Outcomes = append(r.Outcomes, lane.outcomes...)
		if lane.err != nil {
			r.Error = lane.err.Error()
		}
	}
	return r
}

// beside is a second attacker in the same world.
func (s *stage) beside() *stage {
	other := *s
	other.launches = 1000 // names of its own
	return &other
}

func (s *stage) runAll(mine func(row) bool) {
	for _, p := range []profile{nothing, some, every} {
		for _, r := range table() {
			if mine(r) && r.grants == p && r.tried(s.Setting) && strings.Contains(r.name, s.Only) {
				s.run(r)
			}
		}
		s.finish()
	}
}

// stage is one setting with everything that runs in it.
type stage struct {
	job
	ctx       context.Context
	world     *world
	sup       *sandbox.Supervisor
	neighbour *sandbox.Instance // another app, well-behaved
	near      sandbox.Spec
	current   *sandbox.Instance // the app that makes the attempts
	spec      sandbox.Spec
	launches  int
	outcomes  []outcome
	level     string
	opens     string
	err       error
}

func newStage(ctx context.Context, j job) (_ *stage, err error) {
	s := &stage{job: j, ctx: ctx}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.world, err = newWorld(ctx, j.Root); err != nil {
		return nil, err
	}
	if err := s.world.makeDatabase(ctx, j.Deno); err != nil {
		return nil, err
	}
	if err := s.prepareLaunchers(); err != nil {
		return nil, err
	}
	launcher := filepath.Join(s.Bin, realLauncher)
	if s.walled() != walledByBoth {
		launcher = filepath.Join(s.Root, "bin", launcherName+string(s.Setting))
	}
	s.sup, err = sandbox.New(sandbox.Options{
		Deno: j.Deno, Launcher: launcher, SocketDir: filepath.Join(j.Root, "s"), EntryDir: s.entryDir(),
		Egress: s.world.egress(), NoView: s.Setting == settingDeno || s.Setting == settingControl,
	})
	if err != nil {
		return nil, err
	}
	s.near = s.newSpec(sandbox.Budget{})
	s.near.ID, s.near.Entry = "neighbour", "neighbour.js"
	if s.neighbour, err = s.sup.Launch(ctx, s.near); err != nil {
		return nil, fmt.Errorf("launch the neighbour: %w\n%s", err, tailOf(err))
	}
	if text, err := s.ask(s.neighbour, "GET", "/", nil, 5*time.Second); err != nil || text != "fine" {
		return nil, fmt.Errorf("the neighbour answers %q, %w", text, err)
	}
	return s, nil
}

type walls int

const (
	walledByBoth walls = iota
	walledByOne
	walledByNone
)

func (s *stage) walled() walls {
	switch s.Setting {
	case settingBoth, settingRoot:
		return walledByBoth
	case settingControl:
		return walledByNone
	}
	return walledByOne
}

func (s *stage) entryDir() string { return filepath.Join(s.Root, "entry") }

// prepareLaunchers puts what the launchers of this setting need beside them, and open.js beside the entry module.
func (s *stage) prepareLaunchers() error {
	own := filepath.Join(s.Root, "bin")
	if err := os.MkdirAll(own, 0o700); err != nil {
		return err
	}
	files, err := entry.Install(s.entryDir())
	if err != nil {
		return err
	}
	if err := copyFile(filepath.Join(s.Rows, "open.js"), filepath.Join(files.Dir, "open.js"), 0o444); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(files.Dir, authorityFile), []byte(s.world.Net.Authority), 0o444); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := copyFile(self, filepath.Join(own, launcherName+string(s.Setting)), 0o755); err != nil {
		return err
	}
	if err := copyFile(filepath.Join(s.Bin, realLauncher), filepath.Join(own, realLauncher), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(own, extraEnv), []byte(secretVariable+"\n"), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(own, openProxy), []byte(s.world.Net.OpenProxy), 0o600); err != nil {
		return err
	}
	return s.world.openLeak(filepath.Join(own, leakFile))
}

func (s *stage) close() {
	if s.sup != nil {
		_ = s.sup.Close()
	}
	if s.world != nil {
		s.world.close()
	}
}

// newSpec is a spec with folders of its own, for the attackers' module.
func (s *stage) newSpec(b sandbox.Budget) sandbox.Spec {
	s.launches++
	dir := filepath.Join(s.Root, "i", fmt.Sprint(s.launches))
	spec := sandbox.Spec{
		ID: fmt.Sprintf("app%d", s.launches), AppDir: filepath.Join(dir, "app"), DataDir: filepath.Join(dir, "data"),
		RuntimeDir: filepath.Join(dir, "runtime"), LogDir: filepath.Join(dir, "log"), Entry: "app.js", API: sandbox.APIFetch, Budget: b,
	}
	err := os.MkdirAll(spec.AppDir, 0o700)
	if err == nil {
		err = copyFolder(s.Rows, spec.AppDir)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(spec.AppDir, "spare.js"), []byte("export default 1;"), 0o600)
	}
	if err == nil {
		err = os.MkdirAll(spec.AppDir+"endix", 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(spec.AppDir+"endix", "secret"), []byte(secretText("beside")), 0o600)
	}
	if err != nil && s.err == nil {
		s.err = err
	}
	return spec
}

func (s *stage) grants(p profile) permission.Set {
	names := ""
	switch p {
	case some:
		names = s.world.someGrants()
	case every:
		names = "net:*,lan"
	}
	set, err := permission.ParseSet(names)
	if err != nil && s.err == nil {
		s.err = err
	}
	return set
}

// The budget of rows that exhaust something: bytes, percent of a core, core-seconds.
const (
	smallMemory = 160 << 20
	smallCPU    = 10
	smallBurst  = 0.8
)

// budgets: a row that exhausts something gets little behind the walls. Without the kernel's wall the watchdog, which
// runs in this process and is no wall, gets out of the way.
func (s *stage) budget(r row) sandbox.Budget {
	switch {
	case s.Setting == settingControl || s.Setting == settingDeno:
		b := sandbox.MaxBudget()
		b.StartTimeout = 20 * time.Second
		return b
	case r.alone:
		b := sandbox.Budget{MemoryBytes: smallMemory, CPUPercent: smallCPU, CPUBurst: smallBurst, DiskBytes: 64 << 20, Workers: -1, LogBytes: 1 << 20}
		if r.busy { // it needs its processor time for something else
			b.CPUPercent, b.CPUBurst = 200, 60
		}
		if r.workers > 0 {
			b.Workers = r.workers
		}
		return b
	}
	return sandbox.Budget{MemoryBytes: 1 << 30, CPUPercent: 200, CPUBurst: 60, Workers: 8}
}

// app is the running attacker for a row; it is started when there is none.
func (s *stage) app(r row) (*sandbox.Instance, error) {
	if s.current != nil && s.spec.Entry != r.module() {
		s.finish()
	}
	if s.current != nil {
		select {
		case <-s.current.Done():
			s.current = nil
		default:
			return s.current, nil
		}
	}
	s.spec = s.newSpec(s.budget(r))
	s.spec.Allow, s.spec.Entry = s.grants(r.grants), r.module()
	in, err := s.sup.Launch(s.ctx, s.spec)
	if err != nil {
		return nil, fmt.Errorf("launch: %w\n%s", err, tailOf(err))
	}
	if w := in.Report(); s.level == "" {
		s.level, s.opens = w.Level, w.Open
	}
	s.current = in
	return in, nil
}

// finish ends the attacker.
func (s *stage) finish() {
	if s.current != nil {
		s.current.Kill()
		<-s.current.Done()
		s.current = nil
		_ = os.RemoveAll(filepath.Dir(s.spec.DataDir)) // some fill it
	}
}

func (s *stage) run(r row) {
	began := time.Now()
	o := outcome{Row: r.name}
	if r.host != nil {
		detail, err := r.host(s)
		o.Succeeded, o.Detail = err == nil, detail
		if err != nil {
			o.Detail = err.Error()
		}
	} else {
		o = s.attempt(r)
	}
	o.Took = time.Since(began)
	s.outcomes = append(s.outcomes, o)
}

// attempt asks the app to make one attempt.
func (s *stage) attempt(r row) outcome {
	o := outcome{Row: r.name}
	if r.alone {
		s.finish()
		defer s.finish()
	}
	in, err := s.app(r)
	if err != nil {
		if s.err == nil {
			s.err = fmt.Errorf("%s: %w", r.name, err)
		}
		return o
	}
	seen := s.world.seen()
	request, err := json.Marshal(map[string]any{"row": r.name, "world": s.describe(), "patience": r.patience(s.Setting).Milliseconds()})
	if err != nil {
		o.Detail = err.Error()
		return o
	}
	late := 3 * time.Second // an app that does not keep its own time
	if r.harmless {
		late = 0
	}
	text, err := s.ask(in, "POST", "/", request, r.patience(s.Setting)+late)
	var answer struct {
		OK, Unknown bool
		Detail      string
	}
	switch {
	case err != nil:
		o.Felt = true
		if r.witness { // what took the app's place may still be at work
			o.Succeeded = s.world.sees(seen, s.lookout())
		}
		fate := s.fate(in)
		o.Detail = "no answer: " + err.Error() + fate
		if b := in.Exit().Breach; b != nil {
			o.Breach = b.Budget
		}
	case json.Unmarshal([]byte(text), &answer) != nil || answer.Unknown:
		s.err = fmt.Errorf("%s: the app answers %q", r.name, text)
		return o
	default:
		o.Succeeded, o.Detail = answer.OK, answer.Detail
	}
	if r.witness {
		o.Succeeded = o.Succeeded && o.Felt || s.world.sees(seen, s.lookout())
	}
	if r.harmless {
		// what the app said of itself is not what counts
		o.Felt = o.Felt || !s.answers(in, "")
		o.Succeeded = !s.answers(s.neighbour, "fine")
		if kept := sizeOf(s.spec.LogDir); kept > s.spec.Budget.WithDefaults().LogBytes+1<<20 {
			o.Succeeded = true
			o.Detail += fmt.Sprintf("; its log takes %d bytes", kept)
		}
	}
	if !s.answers(s.neighbour, "fine") {
		o.Succeeded = true
		o.Detail += "; the neighbour does not answer any more"
	}
	return o
}

// sizeOf is what the files of a folder hold, in bytes.
func sizeOf(dir string) (total int64) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			total += info.Size()
		}
	}
	return total
}

// lookout is how long the host waits for a sign of the app. What was not refused comes at once, but in the control run
// nothing may fail for a busy machine.
func (s *stage) lookout() time.Duration {
	if s.Setting == settingControl {
		return 5 * time.Second
	}
	return 150 * time.Millisecond
}

// fate says how an instance ended, if it does within a moment.
func (s *stage) fate(in *sandbox.Instance) string {
	select {
	case <-in.Done():
		e := in.Exit()
		text := fmt.Sprintf("; the process ended: %s %s", e.Reason, e.Signal)
		if e.Breach != nil {
			text += " over " + e.Breach.Budget
		}
		return text + " " + lastLine(e.Tail)
	case <-time.After(200 * time.Millisecond):
		in.Kill()
		<-in.Done()
		return "; it hung and was killed"
	}
}

func (s *stage) answers(in *sandbox.Instance, want string) bool {
	select {
	case <-in.Done():
		return false
	default:
	}
	body := []byte(`{"row": "", "world": {}, "patience": 1000}`)
	text, err := s.ask(in, "POST", "/", body, 3*time.Second)
	return err == nil && (want == "" || text == want)
}

// describe is the world as the app is told of it.
func (s *stage) describe() map[string]any {
	w := s.world
	paths, err := sandbox.PathsOf(sandbox.Options{SocketDir: filepath.Join(s.Root, "s"), EntryDir: s.entryDir()}, s.spec, false)
	if err != nil && s.err == nil {
		s.err = err
	}
	twin, err := w.twin(paths.Proxy)
	if err != nil && s.err == nil {
		s.err = err
	}
	return map[string]any{
		"twin": twin,
		"root": w.Root, "home": w.Home, "outside": w.Outside, "secret": w.Secret, "library": w.Library, "uid": w.UID, "gid": w.GID,
		"victim": w.Victim, "victimAddress": w.VictimAddress, "net": w.Net,
		"app": s.spec.AppDir, "data": s.spec.DataDir, "runtime": s.spec.RuntimeDir, "log": s.spec.LogDir,
		"entry": paths.Entry.Dir, "socket": paths.Socket, "sockets": paths.Sockets, "proxy": paths.Proxy,
		"leak": filepath.Join(s.Root, "bin", leakFile), "machine": thisMachine(), "linker": s.world.Linker, "native": s.world.native, "shell": s.world.Shell,
		"unstable":    s.Setting == settingKernel || s.Setting == settingControl,
		"importHosts": importHosts,
		"signpost":    w.signpost,
		"control":     s.Setting == settingControl,
		"budget":      int64(smallMemory),
		"cores":       smallCPU / 100.0,
		"burst":       smallBurst,
		"neighbour":   map[string]any{"data": s.near.DataDir, "runtime": s.near.RuntimeDir, "log": s.near.LogDir, "app": s.near.AppDir, "socket": s.neighbour.Socket(), "pid": s.neighbour.PID()},
	}
}

func (s *stage) ask(in *sandbox.Instance, method, path string, body []byte, patience time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://app.localhost"+path, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return in.Dial(ctx) },
	}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return string(text), err
}

func tailOf(err error) string {
	var failed *sandbox.StartError
	if errors.As(err, &failed) {
		return failed.Tail
	}
	return ""
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

func copyFile(from, to string, mode os.FileMode) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.WriteFile(to, text, 0o600); err != nil {
		return err
	}
	return os.Chmod(to, mode)
}

func copyFolder(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if slices.Contains([]string{".js", ".mjs"}, filepath.Ext(e.Name())) {
			if err := copyFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name()), 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}
