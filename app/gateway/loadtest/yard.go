package loadtest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Yard is a server on a socket and the front door before it, each in a process of its own.
type Yard struct {
	Straight Target // the socket itself
	Door     Target // through the front door

	self   Self
	dir    string
	socket string
	parts  []*child
	door   *child
}

// child is a process that runs Part.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// NewYard starts both.
func NewYard(ctx context.Context, self Self) (_ *Yard, err error) {
	dir, err := os.MkdirTemp("", "pk-load")
	if err != nil {
		return nil, err
	}
	y := &Yard{self: self, dir: dir, socket: filepath.Join(dir, "s")}
	defer func() {
		if err != nil {
			err = errors.Join(err, y.Close())
		}
	}()
	if _, _, err := y.start(ctx, os.Stderr, nil, partBackend, y.socket); err != nil {
		return nil, err
	}
	y.Straight = Target{Network: "unix", Address: y.socket, Head: "Host: bench.invalid\r\n" + asBrowser}
	return y, y.OpenDoor(ctx)
}

// OpenDoor puts a new front door in place of the one before, so that its memory is that of a fresh process.
func (y *Yard) OpenDoor(ctx context.Context) error {
	door, here, err := y.start(ctx, os.Stderr, nil, partDoor, y.socket)
	if err != nil {
		return err
	}
	y.door = door
	y.Door = Target{Network: "tcp", Address: here.Address, Head: here.Head}
	return nil
}

// Usage is what the front door's process uses, after it has collected its garbage.
func (y *Yard) Usage() (u Usage, err error) {
	if _, err := io.WriteString(y.door.in, "\n"); err != nil {
		return u, fmt.Errorf("ask the front door's process: %w", err)
	}
	return u, y.door.read(&u)
}

// start runs a part, with more in its environment, and waits until it serves.
func (y *Yard) start(ctx context.Context, messages *os.File, env []string, args ...string) (*child, ready, error) {
	var here ready
	cmd := y.self(args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, here, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, here, err
	}
	cmd.Stderr = messages
	if len(env) > 0 {
		cmd.Env = append(cmd.Environ(), env...)
	}
	if err := ctx.Err(); err != nil {
		return nil, here, err
	}
	if err := cmd.Start(); err != nil {
		return nil, here, err
	}
	c := &child{cmd: cmd, in: in, out: bufio.NewReader(out)}
	y.parts = append(y.parts, c)
	if err := c.read(&here); err != nil {
		return nil, here, fmt.Errorf("start %q: %w", args[0], err)
	}
	return c, here, nil
}

func (c *child) read(v any) error {
	text, err := c.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("it says nothing: %w", err)
	}
	return json.Unmarshal(text, v)
}

// end closes what the part listens to, which ends it, and kills it if it does not.
func (c *child) end() error {
	_ = c.in.Close()
	timer := time.AfterFunc(10*time.Second, func() { _ = c.cmd.Process.Kill() })
	defer timer.Stop()
	return c.cmd.Wait()
}

// Close ends both and removes the socket.
func (y *Yard) Close() error {
	var errs []error
	for i := len(y.parts) - 1; i >= 0; i-- {
		errs = append(errs, y.parts[i].end())
	}
	y.parts = nil
	return errors.Join(append(errs, os.RemoveAll(y.dir))...)
}
