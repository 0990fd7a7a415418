package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

var (
	errEnded      = errors.New("the process ended")
	errNoAnswer   = errors.New("no answer on its socket")
	errNotHealthy = errors.New("its health check failed")
)

// awaitReady returns when the entry module says that the app has a server, and the health check passes where there is
// one. The socket appears some milliseconds after the start; from then on one request waits inside the entry module.
func (in *Instance) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(in.ctx, cancel)
	defer stop()
	err := in.askReady(ctx)
	if in.ctx.Err() != nil {
		return errEnded
	}
	return err
}

func (in *Instance) askReady(ctx context.Context) error {
	kind, err := retry(ctx, func() (string, error) {
		status, text, err := in.get(ctx, in.paths.Socket, "/.paddock/ready")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("status %d", status)
		}
		return text, err
	})
	if err != nil {
		return errNoAnswer
	}
	if strings.TrimSpace(kind) == APINode && in.paths.NodeSocket != "" {
		in.socket = in.paths.NodeSocket
	}
	if in.spec.Health == "" {
		return nil
	}
	_, err = retry(ctx, func() (string, error) {
		status, _, err := in.get(ctx, in.socket, in.spec.Health)
		if err == nil && status >= http.StatusInternalServerError {
			err = fmt.Errorf("status %d", status)
		}
		return "", err
	})
	if err != nil {
		return errNotHealthy
	}
	return nil
}

// retry calls fn until it succeeds or ctx ends, first every millisecond, later every 20.
func retry[T any](ctx context.Context, fn func() (T, error)) (T, error) {
	for pause := time.Millisecond; ; pause = min(pause+pause/8, 20*time.Millisecond) {
		result, err := fn()
		if err == nil {
			return result, nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return result, ctx.Err()
		case <-timer.C:
		}
	}
}

// get asks the app for one path over its socket.
func (in *Instance) get(ctx context.Context, socket, path string) (status int, text string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://paddock.invalid"+path, nil)
	if err != nil {
		return 0, "", err
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	return response.StatusCode, string(body), err
}
