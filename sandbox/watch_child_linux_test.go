package sandbox

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The children that the watchdog's tests watch are this test program, started again with childMode set.
const (
	childMode = "PADDOCK_WATCH_CHILD"
	nobody    = 65534
)

func init() {
	if mode := os.Getenv(childMode); mode != "" {
		if err := misbehave(mode, os.Args[len(os.Args)-1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// misbehave is the child's whole life. It starts when a line arrives on standard input, so that it does nothing
// before it is watched, and "idle" ones end when that is closed.
func misbehave(mode, dir string) error {
	block := []byte(strings.Repeat("paddock ", mb/8))
	if mode != "unreadable" {
		if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
			return err
		}
	}
	forever := func(step func(i int) error) error {
		for i := 0; ; i++ {
			if err := step(i); err != nil {
				return err
			}
		}
	}
	switch mode {
	case "idle":
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	case "allocate":
		var kept [][]byte
		return forever(func(int) error {
			b := make([]byte, 4*mb)
			for i := range b {
				b[i] = 1
			}
			kept = append(kept, b)
			return nil
		})
	case "spin":
		go func() {
			//lint:ignore SA5002 using up processor time is what this child is for
			for {
			}
		}()
		//lint:ignore SA5002 and on a second thread
		for {
		}
	case "write": // one file
		f, err := os.Create(filepath.Join(dir, "big"))
		if err != nil {
			return err
		}
		return forever(func(int) error { _, err := f.Write(block); return err })
	case "unlinked":
		f, err := os.Create(filepath.Join(dir, "hidden"))
		if err != nil {
			return err
		}
		if err := os.Remove(f.Name()); err != nil {
			return err
		}
		return forever(func(int) error { _, err := f.Write(block); return err })
	case "tiny":
		return forever(func(i int) error {
			if i%1000 == 0 {
				if err := os.Mkdir(filepath.Join(dir, fmt.Sprint(i/1000)), 0o700); err != nil {
					return err
				}
			}
			return os.WriteFile(filepath.Join(dir, fmt.Sprint(i/1000), fmt.Sprint(i)), nil, 0o600)
		})
	case "sparse": // a terabyte of nothing, and the same megabyte a thousand times
		f, err := os.Create(filepath.Join(dir, "sparse"))
		if err != nil {
			return err
		}
		if err := f.Truncate(1 << 40); err != nil {
			return err
		}
		for range 1000 {
			if _, err := f.WriteAt(block, 0); err != nil {
				return err
			}
		}
		for range 200 { // these count as sent to storage each time
			if err := f.Truncate(0); err != nil {
				return err
			}
			if _, err := f.WriteAt(block, 0); err != nil {
				return err
			}
		}
		fmt.Println("done")
		_, err = io.Copy(io.Discard, os.Stdin)
		return err
	case "wall": // takes address space up to the kernel's limit, gets refused, and stays there
		limit := unix.Rlimit{Cur: 1 << 30, Max: 1 << 30}
		if err := unix.Setrlimit(unix.RLIMIT_DATA, &limit); err != nil {
			return err
		}
		// Go's own memory counts too: this process gives a little back at the wall and makes no more garbage, so
		// that it is not its runtime that meets the limit.
		debug.SetGCPercent(-1)
		taken := make([][]byte, 0, 1<<10)
		for {
			m, err := unix.Mmap(-1, 0, mb, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
			if err != nil {
				break
			}
			taken = append(taken, m)
		}
		for _, m := range taken[:min(4, len(taken))] {
			if err := unix.Munmap(m); err != nil {
				return err
			}
		}
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	case "unreadable":
		return unreadable(dir)
	}
	return fmt.Errorf("no such mode: %s", mode)
}

func unreadable(dir string) error {
	inner := filepath.Join(dir, "inner")
	if err := os.Mkdir(inner, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(inner, "hidden"), make([]byte, mb), 0o600); err != nil {
		return err
	}
	if err := os.Chmod(inner, 0o300); err != nil {
		return err
	}
	n, err := diskUse(context.Background(), 0, []string{dir}, math.MaxInt64-inodeCost)
	if err != nil || n < mb {
		return fmt.Errorf("counted %d, %w", n, err)
	}
	_, err = fmt.Println("counted")
	return err
}

// child is a command that runs misbehave(mode, dir).
func child(t testing.TB, mode, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^$", dir)
	cmd.Env = []string{childMode + "=" + mode}
	if mode == "unreadable" && os.Getuid() == 0 {
		// The test program may lie where only root can go: an inherited handle gives it to nobody as well.
		f, err := os.Open(self)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		cmd.Path, cmd.ExtraFiles = "/proc/self/fd/3", []*os.File{f}
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	return cmd
}
