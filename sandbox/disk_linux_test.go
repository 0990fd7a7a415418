package sandbox

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func use(t *testing.T, paths ...string) int64 {
	t.Helper()
	n, err := diskUse(context.Background(), 0, paths, math.MaxInt64-inodeCost)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func write(t *testing.T, path string, bytes int) {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.Repeat("x", bytes)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDiskUseCountsBlocks(t *testing.T) {
	dir := t.TempDir()
	empty := use(t, dir)
	if empty < inodeCost {
		t.Errorf("an empty folder counts %d", empty)
	}
	write(t, filepath.Join(dir, "megabyte"), mb)
	one := use(t, dir) - empty
	if one < mb || one > mb+mb/8 {
		t.Errorf("1 MiB counts %d", one)
	}
	sparse := filepath.Join(dir, "sparse")
	write(t, sparse, 0)
	if err := os.Truncate(sparse, 1<<40); err != nil {
		t.Fatal(err)
	}
	if got := use(t, dir) - empty - one; got > 64<<10 {
		t.Errorf("a sparse terabyte counts %d", got)
	}
	for i := range 5 {
		if err := os.Link(filepath.Join(dir, "megabyte"), filepath.Join(dir, fmt.Sprint("link", i))); err != nil {
			t.Fatal(err)
		}
	}
	if got := use(t, dir) - empty; got > one+128<<10 {
		t.Errorf("hard links are counted again: %d", got)
	}
	other := t.TempDir()
	if err := os.Symlink(dir, filepath.Join(other, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	if got := use(t, other); got > 4*inodeCost {
		t.Errorf("a symbolic link was followed: %d", got)
	}
	if got := use(t, dir, other, filepath.Join(dir, "missing")); got < one+empty {
		t.Errorf("several folders count %d", got)
	}
}

func TestDiskUseCountsInodes(t *testing.T) {
	dir := t.TempDir()
	for i := range 1000 {
		write(t, filepath.Join(dir, fmt.Sprint(i)), 0)
	}
	if got := use(t, dir); got < 1000*inodeCost {
		t.Errorf("1000 empty files count %d", got)
	}
	// A walk that has seen enough stops.
	n, err := diskUse(context.Background(), 0, []string{dir}, 10*inodeCost)
	if err != nil || n <= 10*inodeCost {
		t.Errorf("with a small limit: %d, %v", n, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := diskUse(ctx, 0, []string{dir}, math.MaxInt64-inodeCost); err == nil {
		t.Error("a cancelled walk reports success")
	}
}

// An app that nests folders deeper than a walk can follow would have a place that nobody counts.
func TestDiskUseTooDeep(t *testing.T) {
	dir := t.TempDir()
	fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range maxDepth + 50 {
		name := strings.Repeat("d", 100)
		if err := unix.Mkdirat(fd, name, 0o700); err != nil {
			t.Fatal(err)
		}
		next, err := unix.Openat(fd, name, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
		fd = next
	}
	unix.Close(fd)
	if n, err := diskUse(context.Background(), 0, []string{dir}, 1<<30); err != nil || n <= 1<<30 {
		t.Errorf("a bottomless tree counts %d, %v", n, err)
	}
}

// Files in a folder that the app made unreadable are counted all the same. Permissions mean nothing to root, so the
// walk runs in a child that is not.
func TestDiskUseUnreadableFolder(t *testing.T) {
	dir, err := os.MkdirTemp("", "unreadable")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if os.Getuid() == 0 {
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	out, err := child(t, "unreadable", dir).Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if string(out) != "counted\n" {
		t.Errorf("the child says %q", out)
	}
}

func TestDiskUseDeletedFiles(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "gone"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(strings.Repeat("x", 3*mb)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(f.Name()); err != nil {
		t.Fatal(err)
	}
	again, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd())) // a second handle on it is no second file
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	hidden := use(t, dir)
	n, err := diskUse(context.Background(), os.Getpid(), []string{dir}, math.MaxInt64-inodeCost)
	if err != nil {
		t.Fatal(err)
	}
	if got := n - hidden; got < 3*mb || got > 5*mb {
		t.Errorf("a deleted file of 3 MiB counts %d", got)
	}
}

func BenchmarkWalk(b *testing.B) {
	dir := b.TempDir()
	const files = 10_000
	for i := range files {
		sub := filepath.Join(dir, fmt.Sprint(i/100))
		os.Mkdir(sub, 0o700)
		if err := os.WriteFile(filepath.Join(sub, fmt.Sprint(i)), nil, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if _, err := diskUse(context.Background(), 0, []string{dir}, math.MaxInt64-inodeCost); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*files), "ns/file")
}
