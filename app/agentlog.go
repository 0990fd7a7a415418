package app

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// maxAgentLog bounds the agent's own log: this many bytes, and as many in the file before it.
const maxAgentLog = 1 << 20

// LogFile is the agent's own log, for an agent that was started by a command and has no terminal. When it
// is full it becomes agent.log.1 and a new one begins.
type LogFile struct {
	mu   sync.Mutex
	path string
	file *os.File
	size int64
	max  int64
}

// OpenLogFile opens agent.log in home for appending.
func OpenLogFile(home string) (*LogFile, error) {
	l := &LogFile{path: filepath.Join(home, "agent.log"), max: maxAgentLog}
	return l, l.open()
}

func (l *LogFile) open() error {
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the agent's log: %w", err)
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return fmt.Errorf("open the agent's log: %w", err)
	}
	l.file, l.size = f, st.Size()
	return nil
}

// Write appends one record.
func (l *LogFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size > 0 && l.size+int64(len(p)) > l.max {
		if err := l.turn(); err != nil {
			return 0, err
		}
	}
	n, err := l.file.Write(p)
	l.size += int64(n)
	return n, err
}

func (l *LogFile) turn() error {
	if err := l.file.Close(); err != nil {
		return fmt.Errorf("close the full log: %w", err)
	}
	if err := os.Rename(l.path, l.path+".1"); err != nil {
		return fmt.Errorf("put the full log aside: %w", err)
	}
	return l.open()
}

// Close closes the file.
func (l *LogFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Close()
}
