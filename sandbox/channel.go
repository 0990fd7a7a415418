package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"golang.org/x/time/rate"
)

// Bounds on the host channel: the lines come from the app.
const (
	maxMessageBytes = 8 << 10   // the entry module sends no longer ones
	maxBatchBytes   = 512 << 10 // of one answer to the waiting request: 64 questions at most
	maxPending      = 8         // questions being answered at once
	messagesPerS    = 50        // sustained; as many may come at once
)

// hostPath is where the entry module talks to the host: GET waits for questions, POST brings an answer.
const hostPath = "/.paddock/host"

// channelAfter is how long an app that has begun to listen is left to load and to give its first answers before the
// channel comes: one more request meanwhile takes a millisecond of each start.
const channelAfter = 50 * time.Millisecond

// openChannel keeps one request waiting at the entry module, through which the app asks. What it asks before waits
// there. That the channel breaks is the app's loss only.
func (in *Instance) openChannel() {
	if in.sup.options.OnMessage == nil {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.ctx.Err() != nil {
		return // it has ended and nobody would wait for the goroutine any more
	}
	in.helper.Go(func() {
		if in.untilListening(in.ctx) != nil {
			return
		}
		later := time.NewTimer(channelAfter)
		defer later.Stop()
		select {
		case <-later.C:
		case <-in.ctx.Done():
			return
		}
		conn, err := retry(in.ctx, func() (net.Conn, error) { return dialUnix(in.ctx, in.paths.Socket) })
		if err != nil {
			return // the process has ended
		}
		if err := in.holdChannel(conn); err != nil && in.ctx.Err() == nil {
			in.sup.log.Debug("host channel ended", "app", in.spec.ID, "error", err)
		}
	})
}

func (in *Instance) holdChannel(conn net.Conn) error {
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(in.ctx, func() { _ = conn.Close() })
	defer stop()
	limit := rate.NewLimiter(messagesPerS, messagesPerS)
	pending := make(chan struct{}, maxPending)
	from := bufio.NewReader(conn)
	for {
		if _, err := io.WriteString(conn, "GET "+hostPath+" HTTP/1.1\r\nHost: paddock.invalid\r\n\r\n"); err != nil {
			return err
		}
		response, err := http.ReadResponse(from, nil)
		if err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d", response.StatusCode)
		}
		if err := in.readMessages(io.LimitReader(response.Body, maxBatchBytes), limit, pending); err != nil {
			return err
		}
		if err := response.Body.Close(); err != nil {
			return err
		}
	}
}

// readMessages takes one batch of questions. They are answered a few at a time.
func (in *Instance) readMessages(from io.Reader, limit *rate.Limiter, pending chan struct{}) error {
	scanner := bufio.NewScanner(from)
	scanner.Buffer(make([]byte, 0, 1024), maxMessageBytes)
	for scanner.Scan() {
		if err := limit.Wait(in.ctx); err != nil {
			return err
		}
		var m Message
		if json.Unmarshal(scanner.Bytes(), &m) != nil || m.ID <= 0 {
			continue
		}
		refusal := ""
		if m.Kind != "permissions.query" && m.Kind != "permissions.request" {
			refusal = "unknown question"
		} else {
			select {
			case pending <- struct{}{}:
			default:
				refusal = "too many questions at once: wait for the answers first"
			}
		}
		if refusal != "" { // the app takes this before it is heard again
			if err := in.tell(Message{ID: m.ID, Kind: m.Kind, Error: refusal}); err != nil {
				return err
			}
			continue
		}
		go func() { // not waited for: a person may take hours to answer, and the app may be gone by then
			defer func() { <-pending }()
			answer := in.sup.options.answer(in.ctx, in.spec.ID, m)
			answer.ID, answer.Kind = m.ID, m.Kind
			_ = in.tell(answer)
		}()
	}
	return scanner.Err()
}

// tell brings the app an answer. It waits for as long as the app is frozen or busy, or until it ends.
func (in *Instance) tell(m Message) error {
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("write an answer for the app: %w", err)
	}
	status, _, err := in.do(in.ctx, in.paths.Socket, http.MethodPost, hostPath, text)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d", status)
	}
	return err
}

// ErrNoHandler says that the app does not listen to its schedule.
var ErrNoHandler = errors.New("the app has no paddock.onSchedule handler")

// Scheduled tells the app that a time of its schedule has come, and returns when its handler has ended. ctx ends the
// waiting and not the handler.
func (in *Instance) Scheduled(ctx context.Context, at time.Time) error {
	text, err := json.Marshal(struct {
		Kind string    `json:"kind"`
		At   time.Time `json:"at"`
	}{"schedule", at})
	if err != nil {
		return fmt.Errorf("write a time for the app: %w", err)
	}
	status, answer, err := in.do(ctx, in.paths.Socket, http.MethodPost, hostPath, text)
	switch {
	case in.ctx.Err() != nil:
		return errEnded
	case err != nil:
		return fmt.Errorf("the app's handler did not end: %w", errors.Join(ctx.Err(), err))
	case status == http.StatusNotFound:
		return ErrNoHandler
	case status != http.StatusOK:
		return errors.New(printable(answer))
	}
	return nil
}
