package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// followEvery is how often FollowLog looks for new lines.
const followEvery = 200 * time.Millisecond

// ReadLog returns the last lines of an app's log, oldest first; all that is kept when lines is 0 or less. A log that
// does not exist yet is empty.
func ReadLog(logDir string, lines int) ([]LogLine, error) {
	var all []LogLine
	for _, name := range []string{logNameBefore, logName} {
		f, err := os.Open(filepath.Join(logDir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the app's log: %w", err)
		}
		err = eachLine(bufio.NewReader(f), func(line LogLine) error {
			all = append(all, line)
			if lines > 0 && len(all) > 2*lines+1024 {
				all = append([]LogLine(nil), all[len(all)-lines:]...)
			}
			return nil
		})
		_ = f.Close()
		if err != nil {
			return nil, fmt.Errorf("read the app's log: %w", err)
		}
	}
	if lines > 0 && len(all) > lines {
		all = all[len(all)-lines:]
	}
	return all, nil
}

// eachLine calls fn with every whole line there is. What is no log line (a crash can leave half a one) is passed over.
func eachLine(r *bufio.Reader, fn func(LogLine) error) error {
	for {
		text, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var line LogLine
		if json.Unmarshal(text, &line) != nil {
			continue
		}
		if err := fn(line); err != nil {
			return err
		}
	}
}

// FollowLog calls fn with the last lines of an app's log and then with each new one, until ctx ends (which is no
// error) or fn fails. It may be called before the log exists and goes on across rotations.
func FollowLog(ctx context.Context, logDir string, lines int, fn func(LogLine) error) error {
	path := filepath.Join(logDir, logName)
	var file *os.File
	var offset int64
	defer func() {
		if file != nil {
			_ = file.Close()
		}
	}()
	if f, err := os.Open(path); err == nil { // remember where the present end is before reading up to it
		info, err := f.Stat()
		if err != nil {
			_ = f.Close()
			return fmt.Errorf("follow the app's log: %w", err)
		}
		file, offset = f, info.Size()
	}
	if lines != 0 {
		past, err := ReadLog(logDir, lines)
		if err != nil {
			return err
		}
		for _, line := range past {
			if err := fn(line); err != nil {
				return err
			}
		}
	}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		if file == nil {
			if f, err := os.Open(path); err == nil {
				file, offset = f, 0
			}
		}
		if file != nil {
			n, err := followOnce(file, offset, fn)
			if err != nil {
				return err
			}
			offset = n
			if rotated(file, path) {
				if _, err := followOnce(file, offset, fn); err != nil {
					return err
				}
				_ = file.Close()
				file = nil
				continue
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// followOnce reads whole lines from offset on and returns where the next one begins.
func followOnce(f *os.File, offset int64, fn func(LogLine) error) (int64, error) {
	r := bufio.NewReader(io.NewSectionReader(f, offset, 1<<62))
	for {
		text, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return offset, nil
		}
		if err != nil {
			return offset, fmt.Errorf("follow the app's log: %w", err)
		}
		offset += int64(len(text))
		var line LogLine
		if json.Unmarshal(text, &line) != nil {
			continue
		}
		if err := fn(line); err != nil {
			return offset, err
		}
	}
}

// rotated reports whether path is another file than f by now.
func rotated(f *os.File, path string) bool {
	have, err := f.Stat()
	if err != nil {
		return true
	}
	now, err := os.Stat(path)
	return err != nil || !os.SameFile(have, now)
}
