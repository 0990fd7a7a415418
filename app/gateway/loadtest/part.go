package loadtest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"paddock/app/gateway"
)

// Self makes a command that runs this program so that it calls Part with args.
type Self func(args ...string) *exec.Cmd

// Parts of a measurement, the first argument of Part.
const (
	partBackend = "backend" // SOCKET
	partDoor    = "door"    // SOCKET
	partRun     = "run"     // PROGRAM ARGUMENT…; ends it at the end, however the caller ends
)

// ready is what a part says once it serves.
type ready struct {
	Address string `json:"address,omitempty"` // of the front door
	Head    string `json:"head,omitempty"`    // header lines of a browser that was let in
}

// Usage is what a process uses.
type Usage struct {
	Heap      uint64        `json:"heap_bytes"`      // objects and the room kept for them
	Stacks    uint64        `json:"stacks_bytes"`    // of goroutines
	Resident  uint64        `json:"resident_bytes"`  // memory of the process; 0 where the system does not tell
	Processor time.Duration `json:"processor_nanos"` // time used so far; 0 where the system does not tell
}

// Part is one process of a measurement. It serves until in ends, and answers each line of it with its Usage.
func Part(ctx context.Context, args []string, in io.Reader, out io.Writer) (err error) {
	if len(args) < 2 {
		return fmt.Errorf("a part and what it works on are needed, not %q", args)
	}
	say := json.NewEncoder(out)
	switch part, socket := args[0], args[1]; part {
	case partBackend:
		l, err := net.Listen("unix", socket)
		if err != nil {
			return err
		}
		go serveBackend(l) // ends with the process
		defer l.Close()
		if err := say.Encode(ready{}); err != nil {
			return err
		}
	case partDoor:
		g, here, err := openDoor(ctx, socket)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, g.Close()) }()
		if err := say.Encode(here); err != nil {
			return err
		}
	case partRun:
		cmd := exec.Command(args[1], args[2:]...)
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		if err := cmd.Start(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, endProgram(cmd)) }()
		if err := say.Encode(ready{}); err != nil {
			return err
		}
	default:
		return fmt.Errorf("there is no part %q", part)
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() && ctx.Err() == nil {
		if err := say.Encode(usage()); err != nil {
			return err
		}
	}
	return errors.Join(lines.Err(), ctx.Err())
}

// endProgram interrupts a program, and kills it if it does not end.
func endProgram(cmd *exec.Cmd) error {
	_ = cmd.Process.Signal(os.Interrupt)
	timer := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Wait()
	if errors.As(err, new(*exec.ExitError)) {
		return nil // however it took the signal
	}
	return err
}

// openDoor opens a front door with one app, which is whatever serves the socket, and enters it as a browser does.
func openDoor(ctx context.Context, socket string) (_ *gateway.Gateway, here ready, err error) {
	const install = "i1"
	g, err := gateway.Listen(gateway.Options{Backend: always{socket}, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		return nil, here, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Close())
		}
	}()
	g.Set(gateway.App{Install: install, ID: "org.example.bench", Label: "bench-abcdefgh", Name: "Bench", Mode: gateway.ModeServer})
	_, link, err := g.Mint(install)
	if err != nil {
		return nil, here, err
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", g.Addr()) // not every resolver knows *.localhost
	}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, link, nil)
	if err != nil {
		return nil, here, err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, here, err
	}
	_ = response.Body.Close()
	cookies := response.Cookies()
	if response.StatusCode != http.StatusOK || len(cookies) == 0 {
		return nil, here, fmt.Errorf("the app's link answers %s", response.Status)
	}
	origin := g.Origin(install)
	here = ready{Address: g.Addr(), Head: "Host: " + strings.TrimPrefix(origin, "http://") + "\r\n" + asBrowser + "Origin: " + origin + "\r\n" +
		"Cookie: theme=dark; " + cookies[0].Name + "=" + cookies[0].Value + "\r\n"}
	return g, here, nil
}

// asBrowser is what browsers send with every request; every party of a comparison gets it.
const asBrowser = "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\nAccept: */*\r\n" +
	"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nSec-Fetch-Dest: empty\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n"

// always is a gateway.Backend and its only instance, which always runs.
type always struct{ socket string }

func (a always) Wake(context.Context, string) (gateway.Upstream, error) { return a, nil }
func (always) Act(context.Context, string, string) error                { return nil }
func (always) Used(string, string, string, bool)                        {}

func (a always) Dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", a.socket)
}
func (always) Key() string            { return "1" }
func (always) Busy() (release func()) { return func() {} }

func usage() Usage {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return Usage{Heap: m.HeapInuse, Stacks: m.StackInuse, Resident: resident(), Processor: processor()}
}
