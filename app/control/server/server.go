// Package server answers the control socket for an app.App.
//
// It knows the wire format, who may connect, and nothing about who is at the other end: the command line,
// the tray and the windows are the same to it. It decides nothing; every method is one call into app.
package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"paddock/app"
	"paddock/app/control"
)

// maxRequest bounds the body of a call, in bytes.
const maxRequest = 1 << 20

// Server is the control socket of one agent.
type Server struct {
	app    *app.App
	http   *http.Server
	socket string
	log    *slog.Logger
	quit   chan struct{}
	once   sync.Once
	done   sync.WaitGroup
}

// Listen makes the socket at path and serves a on it until Close. The folder of path must be ours alone
// (control.MakeRuntimeDir), and the caller must hold the store's lock: a socket that is there already is
// then a leftover and is removed.
func Listen(path string, a *app.App, log *slog.Logger) (*Server, error) {
	if len(path) > control.MaxSocketPath {
		return nil, fmt.Errorf("control socket %s: longer than %d bytes", path, control.MaxSocketPath)
	}
	if err := control.CheckRuntimeDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove the socket of an earlier agent: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on the control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("close the control socket to others: %w", err)
	}
	s := &Server{app: a, socket: path, log: log, quit: make(chan struct{})}
	mux := http.NewServeMux()
	for method, h := range s.methods() {
		mux.HandleFunc("POST "+control.Path(method), s.serve(h))
	}
	s.http = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	s.done.Go(func() {
		if err := s.http.Serve(&guard{Listener: l, app: a, log: log}); err != nil && !errors.Is(err, http.ErrServerClosed) {
			log.Error("control socket", "err", err)
		}
	})
	return s, nil
}

// Quit is closed when a client asked the agent to end. The answer to that client is sent by Close.
func (s *Server) Quit() <-chan struct{} { return s.quit }

// Close ends every call and removes the socket.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = s.http.Close() // watchers never end by themselves
	}
	s.done.Wait()
	if rm := os.Remove(s.socket); rm != nil && !errors.Is(rm, os.ErrNotExist) {
		err = errors.Join(err, rm)
	}
	return err
}

// handler answers one call. It returns the result, or sends events first.
type handler func(ctx context.Context, body []byte, out *control.Stream) (any, error)

func (s *Server) serve(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		out := control.NewStream(w)
		body, err := readAll(w, r)
		if err == nil {
			var result any
			result, err = h(r.Context(), body, out)
			if err == nil {
				err = out.Result(result)
			}
		}
		if err != nil && r.Context().Err() == nil {
			if sent := out.Fail(err); sent != nil {
				s.log.Debug("control answer", "err", sent)
			}
		}
	}
}

func readAll(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	var raw json.RawMessage
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&raw); err != nil {
		return nil, control.NewError(control.ExitUsage, "bad_request", "The request is not JSON: "+err.Error()+".", "", nil)
	}
	return raw, nil
}

func decode(body []byte, into any) error {
	if err := json.Unmarshal(body, into); err != nil {
		return control.NewError(control.ExitUsage, "bad_request", "The request does not have the expected form: "+err.Error()+".", "Use the same version of every Paddock program.", nil)
	}
	return nil
}

// call makes a handler of a method that has a request and a result.
func call[In, Out any](f func(context.Context, In) (Out, error)) handler {
	return func(ctx context.Context, body []byte, _ *control.Stream) (any, error) {
		var in In
		if err := decode(body, &in); err != nil {
			return nil, err
		}
		return f(ctx, in)
	}
}

// act makes a handler of a method that has a request only.
func act[In any](f func(context.Context, In) error) handler {
	return call(func(ctx context.Context, in In) (control.Empty, error) { return control.Empty{}, f(ctx, in) })
}

// stream makes a handler of a method that sends events of type E before its result.
func stream[In, E, Out any](f func(context.Context, In, func(E) error) (Out, error)) handler {
	return func(ctx context.Context, body []byte, out *control.Stream) (any, error) {
		var in In
		if err := decode(body, &in); err != nil {
			return nil, err
		}
		return f(ctx, in, func(e E) error { return out.Event(e) })
	}
}

func (s *Server) methods() map[string]handler {
	a := s.app
	return map[string]handler{
		control.MethodGreet: call(a.Greet),
		control.MethodState: call(func(context.Context, control.Empty) (control.State, error) { return a.State(), nil }),
		control.MethodWatch: stream(func(ctx context.Context, _ control.Empty, on func(control.State) error) (control.Empty, error) {
			return control.Empty{}, a.Watch(ctx, on)
		}),
		control.MethodShow: act(a.Show),
		control.MethodWindows: stream(func(ctx context.Context, _ control.Empty, on func(control.Show) error) (control.Empty, error) {
			return control.Empty{}, a.AttachWindows(ctx, on)
		}),
		control.MethodQuit: act(s.end),

		control.MethodStage:   stream(a.Stage),
		control.MethodCommit:  call(a.Commit),
		control.MethodDiscard: act(a.Discard),
		control.MethodBackup:  stream(a.Backup),
		control.MethodRestore: stream(a.Restore),

		control.MethodList:        call(func(context.Context, control.Empty) ([]control.ListEntry, error) { return a.List() }),
		control.MethodInfo:        call(a.Info),
		control.MethodIcon:        call(a.Icon),
		control.MethodOpen:        call(a.Open),
		control.MethodPs:          call(func(context.Context, control.Empty) ([]control.Running, error) { return a.Ps(), nil }),
		control.MethodStop:        act(a.Stop),
		control.MethodRestart:     act(a.Restart),
		control.MethodAhead:       act(a.Ahead),
		control.MethodRest:        act(a.Rest),
		control.MethodPermissions: call(a.Permissions),
		control.MethodDecide:      act(a.Decide),
		control.MethodBudget:      call(a.SetBudget),
		control.MethodActivity:    call(a.Activity),
		control.MethodHistory:     call(a.History),
		control.MethodLogs: stream(func(ctx context.Context, in control.Logs, on func(control.LogLine) error) (control.Empty, error) {
			return control.Empty{}, a.Logs(ctx, in, on)
		}),
		control.MethodUninstall:  act(a.Uninstall),
		control.MethodDoctor:     call(func(ctx context.Context, _ control.Empty) (control.Doctor, error) { return a.Doctor(ctx) }),
		control.MethodSettings:   call(a.Settings),
		control.MethodSetSetting: act(a.SetSetting),

		control.MethodPrompt:  call(a.Prompt),
		control.MethodPreview: call(a.Preview),
		control.MethodAnswer:  act(a.Answer),
		control.MethodNotice:  act(a.NoticeAction),
	}
}

// end stops every app before it answers, so that `paddock quit` returns when nothing runs any more, and
// then lets the agent's main end.
func (s *Server) end(ctx context.Context, _ control.Empty) error {
	s.app.StopAll(ctx)
	s.once.Do(func() { close(s.quit) })
	return nil
}
