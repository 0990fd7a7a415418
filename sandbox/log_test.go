package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// feed runs text through a log as if an app had written it in the given pieces.
func feed(t testing.TB, l *outputLog, stream string, pieces ...string) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		l.drain(context.Background(), stream, read)
		_ = read.Close()
		close(done)
	}()
	for _, p := range pieces {
		if _, err := write.WriteString(p); err != nil {
			t.Fatal(err)
		}
	}
	_ = write.Close()
	<-done
}

func textsOf(lines []LogLine) []string {
	var texts []string
	for _, l := range lines {
		texts = append(texts, l.Text)
	}
	return texts
}

func TestLogLines(t *testing.T) {
	dir := t.TempDir()
	l, err := openLog(dir, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	feed(t, l, StreamOut, "one\ntw", "o\r\n\n", strings.Repeat("x", lineBytes+10), "\nlast without an end")
	feed(t, l, StreamErr, "\x1b[31mred\x1b[0m\x07 \xff\tend\n")
	l.note("a remark")
	tail := l.text()
	l.close()
	l.close()
	lines, err := ReadLog(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"one", "two", "", strings.Repeat("x", lineBytes), "xxxxxxxxxx", "last without an end",
		"\ufffd[31mred\ufffd[0m\ufffd \ufffd\tend", "a remark",
	}
	if got := textsOf(lines); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("lines %q, want %q", got, want)
	}
	if lines[0].Stream != StreamOut || lines[6].Stream != StreamErr || lines[7].Stream != StreamHost || lines[0].At.IsZero() {
		t.Errorf("lines %+v", lines)
	}
	if !strings.Contains(tail, "paddock: a remark") || strings.ContainsRune(tail, '\x1b') || len(tail) > tailBytes {
		t.Errorf("tail %q", tail)
	}
	if last, err := ReadLog(dir, 2); err != nil || len(last) != 2 || last[1].Text != "a remark" {
		t.Errorf("the last two: %+v, %v", last, err)
	}
	if none, err := ReadLog(filepath.Join(dir, "nowhere"), 5); err != nil || len(none) != 0 {
		t.Errorf("a log that is not there: %v, %v", none, err)
	}
}

// Whatever is written, the files stay within the budget and the newest lines are there.
func TestLogIsBounded(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp("", "paddock-log-")
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		const budget = 128 << 10
		l, err := openLog(dir, budget)
		if err != nil {
			rt.Fatal(err)
		}
		clock := time.Unix(0, 0)
		l.now = func() time.Time { clock = clock.Add(time.Second); return clock } // slow enough to be kept
		n := rapid.IntRange(1, 120).Draw(rt, "lines")
		size := rapid.IntRange(0, lineBytes).Draw(rt, "size")
		for i := range n {
			l.write(StreamOut, []byte(fmt.Sprintf("%d %s", i, strings.Repeat("é", size/2))))
		}
		l.close()
		var total int64
		for _, name := range []string{logName, logNameBefore} {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil {
				total += info.Size()
			}
		}
		if total > budget {
			rt.Fatalf("%d bytes on disk, budget %d", total, budget)
		}
		last, err := ReadLog(dir, 1)
		if err != nil || len(last) != 1 || !strings.HasPrefix(last[0].Text, fmt.Sprintf("%d ", n-1)) {
			rt.Fatalf("the last line: %+v, %v", last, err)
		}
	})
}

// A disk that takes no more must not stop the output from being drained.
func TestLogSurvivesItsDisk(t *testing.T) {
	l, err := openLog(t.TempDir(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	_ = l.file.Close() // every write fails from here on
	feed(t, l, StreamOut, strings.Repeat("line\n", 10_000), "the end\n")
	if !strings.HasSuffix(l.text(), "the end\n") {
		t.Errorf("tail %q", l.text())
	}
	l.close()
}

func TestFollowLog(t *testing.T) {
	dir := t.TempDir()
	l, err := openLog(dir, 128<<10)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	clock := time.Unix(0, 0)
	l.now = func() time.Time { clock = clock.Add(time.Second); return clock }
	for i := range 5 {
		l.write(StreamOut, fmt.Appendf(nil, "%d", i))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := make(chan string, 1000)
	done := make(chan error, 1)
	go func() {
		done <- FollowLog(ctx, dir, 2, func(line LogLine) error { seen <- strings.TrimRight(line.Text, "x"); return nil })
	}()
	next := 3 // the last two of five
	expect := func(n int) {
		t.Helper()
		for ; next < n; next++ {
			select {
			case got := <-seen:
				if got != fmt.Sprint(next) {
					t.Fatalf("got line %q, want %d", got, next)
				}
			case <-time.After(60 * time.Second):
				t.Fatalf("line %d did not come", next)
			}
		}
	}
	expect(5)
	for i := 5; i < 55; i++ { // several times the size of a file: it rotates, but not twice between two looks
		l.write(StreamOut, fmt.Appendf(nil, "%d%s", i, strings.Repeat("x", 4<<10)))
		if i%10 == 4 {
			expect(i + 1)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("ended with %v", err)
	}
	stop := errors.New("enough")
	if err := FollowLog(t.Context(), dir, 1, func(LogLine) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("ended with %v, want the caller's error", err)
	}
}

func FuzzReadLog(f *testing.F) {
	f.Add([]byte(`{"at":"2026-01-02T03:04:05Z","stream":"out","text":"hello"}` + "\n"))
	f.Add([]byte("half a li"))
	f.Add([]byte("{\n\n{}\n[]\nnull\n\"x\"\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, logName), text, 0o600); err != nil {
			t.Fatal(err)
		}
		lines, err := ReadLog(dir, 3)
		if err != nil || len(lines) > 3 {
			t.Errorf("%d lines, %v", len(lines), err)
		}
	})
}
