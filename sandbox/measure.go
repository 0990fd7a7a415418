package sandbox

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"

	"paddock/sandbox/permission"
)

// idleApp is the smallest app: what a Deno that does nothing reserves is measured with it.
const idleApp = "export default { fetch: () => new Response(\"idle\") };\n"

// baseData is the private address space in bytes that an idle Deno has on this machine, almost all of it V8's
// reservations: the memory wall stands that much higher than the budget. It differs between Deno versions and
// processor counts (552,748 kB on 1, 561,076 kB on 2), so it is measured once for each and kept.
func (s *Supervisor) baseData(ctx context.Context) (int64, error) {
	if runtime.GOOS != "linux" {
		return 0, nil
	}
	facts, err := s.runtime.inspect(s.options.Deno, s.options.RuntimeSHA256)
	if err != nil {
		return 0, err
	}
	key := fmt.Sprintf("idle_vmdata/%s/%d/%s", facts.sha256, runtime.NumCPU(), kernelRelease())
	s.measuring.Lock()
	defer s.measuring.Unlock()
	if value, ok := s.measured[key]; ok {
		return value, nil
	}
	if value, ok := s.options.loadFact(key); ok && plausibleBase(value) {
		s.measured[key] = value
		return value, nil
	}
	value, err := s.measureBase(ctx)
	if err != nil {
		return 0, err
	}
	s.measured[key] = value
	s.options.saveFact(key, value)
	s.log.Debug("measured an idle Deno", "bytes", value)
	return value, nil
}

// plausibleBase guards against a damaged fact: too little and no app starts, too much and there is no memory wall.
func plausibleBase(value int64) bool { return value > 64<<20 && value < 4<<30 }

func (s *Supervisor) measureBase(ctx context.Context) (value int64, err error) {
	failed := s.withIdle(ctx, 0, permission.Set{}, func(in *Instance) {
		var status int
		switch status, _, err = in.get(ctx, in.socket, "/"); {
		case err != nil:
		case status != http.StatusOK:
			err = fmt.Errorf("it answered with status %d", status)
		default:
			value, err = privateBytes(in.PID())
		}
	})
	if failed != nil {
		return 0, failed
	}
	if err == nil && !plausibleBase(value) {
		err = fmt.Errorf("%d bytes cannot be right", value)
	}
	if err != nil {
		return 0, fmt.Errorf("measure an idle Deno: %w", err)
	}
	return value, nil
}

// withIdle runs fn with an instance of the idle app that has the given base and grants and is ended afterwards.
func (s *Supervisor) withIdle(ctx context.Context, baseData int64, allow permission.Set, fn func(*Instance)) error {
	dir, err := os.MkdirTemp("", "paddock-idle-")
	if err != nil {
		return fmt.Errorf("make a folder for an idle app: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return fmt.Errorf("make a folder for an idle app: %w", err)
	}
	app := filepath.Join(dir, "app")
	if err := os.Mkdir(app, 0o700); err != nil {
		return fmt.Errorf("make a folder for an idle app: %w", err)
	}
	if err := os.WriteFile(filepath.Join(app, "idle.js"), []byte(idleApp), 0o400); err != nil {
		return fmt.Errorf("write an idle app: %w", err)
	}
	in, err := s.launch(ctx, Spec{
		ID: fmt.Sprintf("idle-%d", s.idles.Add(1)), AppDir: app, DataDir: filepath.Join(dir, "data"),
		RuntimeDir: filepath.Join(dir, "runtime"), LogDir: filepath.Join(dir, "log"), Entry: "idle.js", API: APIFetch,
		Allow: allow, Budget: Budget{Workers: -1},
	}, baseData)
	if err != nil {
		return err
	}
	defer func() {
		in.Kill()
		<-in.Done()
	}()
	fn(in)
	return nil
}
