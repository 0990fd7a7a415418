package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"paddock/app/control"
)

// maxReady bounds what an agent can say before it is ready, in bytes.
const maxReady = 64 << 10

// spawnAgent starts this program as a headless agent that outlives it, and waits for the agent's first line: ready, or
// why not. The agent's log goes nowhere: who wants to see it runs `paddock agent`.
func spawnAgent(home string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "agent", "--headless", "--json", "--home", home)
	detach(cmd)
	if err := startReady(cmd); err != nil {
		return err
	}
	return cmd.Process.Release()
}

// startReady starts an agent and waits for its first line. When it is not ready it has ended.
func startReady(cmd *exec.Cmd) error {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	line, readErr := bufio.NewReader(io.LimitReader(out, maxReady)).ReadBytes('\n')
	var first struct {
		Ready bool           `json:"ready"`
		Error *control.Error `json:"error"`
	}
	if json.Unmarshal(line, &first) == nil && first.Ready {
		return out.Close()
	}
	waitErr := cmd.Wait()
	if first.Error != nil {
		first.Error.Exit = control.ExitUnreachable
		return first.Error
	}
	return fmt.Errorf("it ended before it was ready (%v)", errors.Join(waitErr, readErr))
}
