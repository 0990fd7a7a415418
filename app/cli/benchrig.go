package cli

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"paddock/app/bundle"
	"paddock/app/bundle/pack"
	"paddock/app/control"
)

// benchFiles are the measured app, and plain.js, which serves the same app on plain Deno.
//
//go:embed bench
var benchFiles embed.FS

// How many copies of the app are installed, and how many of them are awake while apps are watched. The first is measured.
const (
	benchApps  = 50
	benchAwake = 20
)

// benchRig is an agent of its own with the measured apps installed.
type benchRig struct {
	dir    string // holds everything; removed at the end
	home   string
	agent  *exec.Cmd
	client *control.Client
	deno   control.DoctorDeno
	apps   []string // ids
	door   benchTarget
}

// newBenchRig starts the agent, installs the apps and opens the first.
func (p *program) newBenchRig(ctx context.Context) (_ *benchRig, err error) {
	dir, err := os.MkdirTemp("", "paddock-bench-")
	if err != nil {
		return nil, err
	}
	r := &benchRig{dir: dir, home: filepath.Join(dir, "home")}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	if err := r.startAgent(ctx, p); err != nil {
		return nil, err
	}
	doctor, err := control.Do[control.Doctor](ctx, r.client, control.MethodDoctor, nil)
	if err != nil {
		return nil, err
	}
	r.deno = doctor.Deno
	for i := range benchApps {
		id, err := r.install(ctx, i)
		if err != nil {
			return nil, fmt.Errorf("install the measured app: %w", err)
		}
		r.apps = append(r.apps, id)
	}
	r.door, err = r.enter(ctx, r.apps[0])
	return r, err
}

// startAgent runs this program as an agent. It ends with us, however we end, where the system can do that.
func (r *benchRig) startAgent(ctx context.Context, p *program) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	socket, err := p.env.SocketPath(r.home)
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "agent", "--headless", "--json", "--home", r.home, "--listen", "127.0.0.1:0")
	// The thread is never unlocked, because the parent-death signal comes when the thread that forked ends.
	runtime.LockOSThread()
	endWithUs(cmd)
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := startReady(cmd); err != nil {
		return err
	}
	r.agent, r.client = cmd, control.NewClient(socket)
	return nil
}

// unpackBench writes the app's files to dir, with id in the manifest.
func unpackBench(dir, id string) error {
	entries, err := benchFiles.ReadDir("bench")
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for _, e := range entries {
		text, err := benchFiles.ReadFile("bench/" + e.Name())
		if err != nil {
			return err
		}
		if e.Name() == bundle.ManifestName {
			text = []byte(strings.Replace(string(text), `"org.example.bench"`, `"`+id+`"`, 1))
		}
		if err := os.WriteFile(filepath.Join(dir, e.Name()), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// install packs and installs one copy of the app and returns its id.
func (r *benchRig) install(ctx context.Context, i int) (string, error) {
	name := fmt.Sprintf("bench%d", i)
	dir, file := filepath.Join(r.dir, name), filepath.Join(r.dir, name+".zip")
	if err := unpackBench(dir, "org.example."+name); err != nil {
		return "", err
	}
	if _, err := pack.Pack(ctx, dir, pack.Options{Out: file}); err != nil {
		return "", err
	}
	staged, err := control.Do[control.Staged](ctx, r.client, control.MethodStage, control.Stage{Source: file, Dev: true})
	if err != nil {
		return "", err
	}
	done, err := control.Do[control.InstallResult](ctx, r.client, control.MethodCommit, control.Commit{Stage: staged.Stage})
	return done.ID, err
}

// enter opens an app and spends its link, as a browser does.
func (r *benchRig) enter(ctx context.Context, app string) (benchTarget, error) {
	var none benchTarget
	o, err := control.Do[control.OpenResult](ctx, r.client, control.MethodOpen, control.Open{App: app})
	if err != nil {
		return none, err
	}
	greeting, err := control.Do[control.Greeting](ctx, r.client, control.MethodGreet, control.Greet{Protocol: control.Protocol, Client: "paddock bench"})
	if err != nil {
		return none, err
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", greeting.Gateway) // not every resolver knows *.localhost
	}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, o.AppURL, nil)
	if err != nil {
		return none, err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return none, err
	}
	if err := discard(response.Body); err != nil {
		return none, err
	}
	cookies := response.Cookies()
	if response.StatusCode != http.StatusOK || len(cookies) == 0 {
		return none, fmt.Errorf("the app's link answers %s", response.Status)
	}
	return benchTarget{network: "tcp", address: greeting.Gateway, head: "Host: " + strings.TrimPrefix(o.Origin, "http://") + "\r\n" +
		"User-Agent: paddock-bench\r\nAccept: */*\r\nSec-Fetch-Site: same-origin\r\nOrigin: " + o.Origin + "\r\n" +
		"Cookie: " + cookies[0].Name + "=" + cookies[0].Value + "\r\n"}, nil
}

// straight is the first app's own socket, without the front door. It changes with each start.
func (r *benchRig) straight(ctx context.Context) (benchTarget, error) {
	info, err := control.Do[control.Info](ctx, r.client, control.MethodInfo, control.AppRef{App: r.apps[0]})
	if err == nil && info.Paths.Socket == "" {
		err = errors.New("the app does not run")
	}
	return benchTarget{network: "unix", address: info.Paths.Socket, head: "Host: bench.invalid\r\nUser-Agent: paddock-bench\r\nAccept: */*\r\n"}, err
}

// rest puts an app to sleep. The front door may still be busy with the end of the last answer for a moment.
func (r *benchRig) rest(ctx context.Context, app string, stop bool) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(benchPatience); ; {
		_, err := control.Do[control.Empty](ctx, r.client, control.MethodRest, control.Rest{App: app, Stop: stop})
		var e *control.Error
		if !errors.As(err, &e) || e.Code != "in_use" || time.Now().After(end) {
			return err
		}
		<-tick.C
	}
}

// close ends the agent with every app and removes everything.
func (r *benchRig) close() error {
	var errs []error
	if r.agent != nil {
		ctx, cancel := context.WithTimeout(context.Background(), benchPatience)
		_, err := control.Do[control.Empty](ctx, r.client, control.MethodQuit, nil)
		cancel()
		r.client.Close()
		if err != nil && !errors.Is(err, control.ErrUnreachable) { // it may have got the same signal as we
			errs = append(errs, fmt.Errorf("end the agent: %w", err), r.agent.Process.Kill())
		}
		if err := r.agent.Wait(); err != nil {
			errs = append(errs, fmt.Errorf("end the agent: %w", err))
		}
	}
	return errors.Join(append(errs, bundle.RemoveTree(r.dir), os.RemoveAll(control.RuntimeDir(r.home)))...)
}
