package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"paddock/app/cli"
	"paddock/app/control"
)

// The scripts in testdata run the command line as a program of its own against a fake agent. The fake answers each
// method with the lines of answers/METHOD, one JSON object per line: {"event":…}, then {"result":…} or {"error":…}. It
// keeps the last request of each method in calls/METHOD.
//
// Variables of the scripts' program:
//
//	SOCKET   where it looks for the agent
//	ANSWERS  folder of answers; with it `paddock agent` runs a fake agent
//	REFUSE   error code with which `paddock agent` refuses to run
const (
	envSocket  = "SOCKET"
	envAnswers = "ANSWERS"
	envRefuse  = "REFUSE"
	envBrowser = "BROWSER"  // file that gets the address to open; "none": no browser can be opened
	envWatched = "TERMINAL" // not empty: a person watches
)

func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){"paddock": runPaddock})
}

// leakChecked looks for goroutines left over after the tests.
type leakChecked struct{ m *testing.M }

func (l leakChecked) Run() int {
	code := l.m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// runPaddock is the program that the scripts call.
func runPaddock() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	env := cli.Env{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Version: "9.9.9",
		SocketPath:  func(string) (string, error) { return os.Getenv(envSocket), nil },
		RunAgent:    runFakeAgent,
		OpenBrowser: openFakeBrowser,
		Now:         func() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) },
	}
	if os.Getenv(envWatched) != "" {
		env.IsTerminal = func() bool { return true }
	}
	code := cli.Main(ctx, env)
	stop()
	os.Exit(code)
}

func openFakeBrowser(url string) error {
	file := os.Getenv(envBrowser)
	if file == "none" {
		return errors.New("no browser is installed")
	}
	return os.WriteFile(file, []byte(url+"\n"), 0o600)
}

func runFakeAgent(ctx context.Context, o cli.AgentOptions) error {
	if code := os.Getenv(envRefuse); code != "" {
		return control.NewError(control.ExitUnreachable, code, "The agent refuses to run.", "This is a test.", nil)
	}
	agent, err := listenFake(os.Getenv(envSocket), os.Getenv(envAnswers), os.Getpid())
	if err != nil {
		return err
	}
	options, err := json.Marshal(map[string]any{"home": o.Home, "headless": o.Headless, "listen": o.Listen, "resolve": o.Resolve, "display": o.Desktop.Display})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(os.Getenv(envAnswers), "agent-options"), append(options, '\n'), 0o600); err != nil {
		return err
	}
	o.Ready(os.Getpid(), "127.0.0.1:4242")
	select {
	case <-ctx.Done():
	case <-agent.quit:
	}
	return agent.close()
}

// fakeAgent answers on a real Unix socket with the real wire format.
type fakeAgent struct {
	answers string
	pid     int
	server  http.Server
	served  chan error
	quit    chan struct{}
}

func listenFake(socket, answers string, pid int) (*fakeAgent, error) {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	f := &fakeAgent{answers: answers, pid: pid, served: make(chan error, 1), quit: make(chan struct{}, 1)}
	f.server.Handler = f
	go func() { f.served <- f.server.Serve(l) }()
	return f, nil
}

func (f *fakeAgent) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := f.server.Shutdown(ctx); err != nil {
		return errors.Join(err, f.server.Close())
	}
	if err := <-f.served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (f *fakeAgent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := control.NewStream(w)
	method := strings.TrimPrefix(r.URL.Path, "/v1/")
	if err := f.answer(method, r.Body, out); err != nil {
		_ = out.Fail(err)
	}
	if method == control.MethodQuit {
		f.quit <- struct{}{}
	}
}

func (f *fakeAgent) answer(method string, body io.Reader, out *control.Stream) error {
	request, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	calls := filepath.Join(f.answers, "..", "calls")
	if err := os.MkdirAll(calls, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(calls, method), append(request, '\n'), 0o600); err != nil {
		return err
	}
	lines, err := os.ReadFile(filepath.Join(f.answers, method))
	if errors.Is(err, os.ErrNotExist) && method == control.MethodGreet {
		return out.Result(control.Greeting{Name: "Paddock", Version: "9.9.9", Protocol: control.Protocol, PID: f.pid, Gateway: "127.0.0.1:4242"})
	}
	if err != nil {
		return fmt.Errorf("the script has no answer to %s", method)
	}
	for scan := bufio.NewScanner(bytes.NewReader(lines)); scan.Scan(); {
		var line struct {
			Event, Result json.RawMessage
			Error         *struct {
				Code, Message, Hint string
				Detail              json.RawMessage
				Exit                int
			}
		}
		if err := json.Unmarshal(scan.Bytes(), &line); err != nil {
			return fmt.Errorf("answer to %s: %w", method, err)
		}
		switch e := line.Error; {
		case e != nil:
			return &control.Error{Code: e.Code, Message: e.Message, Hint: e.Hint, Detail: e.Detail, Exit: e.Exit}
		case line.Event != nil:
			err = out.Event(line.Event)
		default:
			err = out.Result(line.Result)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			// A socket's path has at most 107 bytes, and a script's folder may be deeper.
			dir, err := os.MkdirTemp("", "pad")
			if err != nil {
				return err
			}
			e.Defer(func() {
				if err := os.RemoveAll(dir); err != nil {
					t.Error(err)
				}
			})
			answers := filepath.Join(e.WorkDir, "answers")
			if err := os.MkdirAll(answers, 0o700); err != nil {
				return err
			}
			agent, err := listenFake(filepath.Join(dir, "s"), answers, 0)
			if err != nil {
				return err
			}
			e.Defer(func() {
				if err := agent.close(); err != nil {
					t.Error(err)
				}
			})
			e.Setenv(envSocket, filepath.Join(dir, "s"))
			e.Setenv("SERVED", filepath.Join(dir, "s"))
			e.Setenv("FREE_SOCKET", filepath.Join(dir, "free"))
			e.Setenv(envAnswers, answers)
			e.Setenv(envBrowser, filepath.Join(e.WorkDir, "browser"))
			e.Setenv("PADDOCK_HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("TZ", "UTC")
			// Under the race detector every program would wait a second before it ends, for races to show up late.
			e.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "await": await},
	})
}

// exits CODE PROGRAM ARG… runs a program that must end with that code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG…")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) {
		code = fmt.Sprint(exit.ExitCode())
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}

// await FILE waits until FILE exists.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await FILE")
	}
	deadline := time.Now().Add(20 * time.Second)
	for _, err := os.Stat(args[0]); err != nil; _, err = os.Stat(args[0]) {
		if time.Now().After(deadline) {
			ts.Fatalf("%v", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
