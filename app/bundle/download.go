package bundle

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// fromURL receives a bundle from an address or a link.
func (op *opening) fromURL(source string) error {
	var target sourceURL
	if scheme, _, _ := strings.Cut(source, "://"); strings.EqualFold(scheme, LinkScheme) {
		u, err := ParseLink(source)
		if err != nil {
			return err
		}
		target = sourceURL{url: u}
	} else {
		var err error
		if target, err = parseSource(source); err != nil {
			return err
		}
	}
	d := newDownload(op, target)
	defer d.close()
	for {
		err := d.open()
		if err == nil {
			err = op.receive(d, d.total)
		}
		if errors.Is(err, errChanged) && d.spend() {
			continue // receive truncates what it wrote
		}
		if errors.Is(err, errChanged) {
			return d.fail(ReasonCut, 0, "the file changed on the server while it was downloaded, again and again", nil)
		}
		op.staged.Origin = d.at.Scheme + "://" + d.at.Host
		return err
	}
}

// errChanged means that the server has another file now than the one that was begun.
var errChanged = errors.New("the file changed on the server")

// A download reads one file over as many connections as it takes. It is an io.Reader: when a connection
// is cut, Read opens another from where it was, so that the reader above never notices.
type download struct {
	op     *opening
	first  sourceURL
	at     *url.URL // after redirects
	client *http.Client
	body   io.ReadCloser
	cancel context.CancelFunc
	watch  *stallWatch

	n       int64 // bytes delivered
	total   int64 // -1 when the server did not say
	etag    string
	retries int // connections that may still be opened
}

func newDownload(op *opening, target sourceURL) *download {
	d := &download{op: op, first: target, at: target.url, total: -1, retries: op.o.Limits.Retries}
	if op.o.HTTP != nil {
		copied := *op.o.HTTP
		copied.Timeout = 0 // a big file takes its time; the stall watch ends a slow one
		d.client = &copied
	} else {
		d.client = newClient(op.o.Resolver, target.loopback)
	}
	d.client.Jar = nil
	d.client.CheckRedirect = d.redirect
	return d
}

func (d *download) close() {
	d.hangUp()
	if d.op.o.HTTP == nil {
		d.client.CloseIdleConnections()
	}
}

func (d *download) hangUp() {
	if d.body != nil {
		_ = d.body.Close() // nothing to save: it is read to the end, or given up
		d.body = nil
	}
	if d.watch != nil {
		d.watch.stop()
		d.watch = nil
	}
	if d.cancel != nil {
		d.cancel()
		d.cancel = nil
	}
}

// spend takes one of the retries.
func (d *download) spend() bool {
	if d.retries == 0 || d.op.ctx.Err() != nil {
		return false
	}
	d.retries--
	return true
}

// redirect judges each step before it is followed.
func (d *download) redirect(req *http.Request, via []*http.Request) error {
	if len(via) > d.op.o.Limits.Redirect {
		return d.fail(ReasonRedirect, 0, fmt.Sprintf("the server redirects more than %d times", d.op.o.Limits.Redirect), nil)
	}
	next, err := parseSource(req.URL.String())
	if err != nil {
		return err
	}
	last := via[len(via)-1].URL
	switch {
	case last.Scheme == "https" && next.url.Scheme != "https":
		return refuse(RuleSource, next.url.String(), "the server redirects from https to http")
	case next.loopback && !d.first.loopback:
		return refuse(RuleSource, next.url.String(), "the server redirects to this computer")
	case !next.loopback && d.first.loopback:
		return refuse(RuleSource, next.url.String(), "a server on this computer redirects elsewhere").
			hint("Install from that address itself.")
	}
	// What the first request carried belongs to its server.
	req.Header.Del("Referer")
	d.op.report(Progress{Step: StepDownload, Bytes: d.n, Total: d.total, Redirect: next.url.String()})
	return nil
}

// open starts the file from its beginning.
func (d *download) open() error {
	d.hangUp()
	d.n, d.total, d.etag = 0, -1, ""
	for {
		err := d.connect()
		var failed *DownloadError
		if err == nil || !errors.As(err, &failed) || !failed.temporary() || !d.spend() {
			return err
		}
		if err := d.pause(); err != nil {
			return err
		}
	}
}

// temporary reports whether another try may go better at once.
func (e *DownloadError) temporary() bool {
	switch e.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return e.Reason == ReasonCut
}

// pause waits before the next connection, longer each time and at most two seconds.
func (d *download) pause() error {
	done := d.op.o.Limits.Retries - d.retries
	wait := min(50*time.Millisecond<<min(done, 6), 2*time.Second)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-d.op.ctx.Done():
		return d.op.ctx.Err()
	}
}

// connect asks for the file from d.n on.
func (d *download) connect() error {
	d.hangUp()
	ctx, cancel := context.WithCancel(d.op.ctx)
	d.cancel = cancel
	d.watch = newStallWatch(cancel, d.op.o.Limits)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.first.url.String(), nil)
	if err != nil {
		return d.fail(ReasonProtocol, 0, "the address cannot be asked", err)
	}
	req.Header.Set("User-Agent", "Paddock/"+orText(d.op.o.Paddock, "0"))
	req.Header.Set("Accept", "application/vnd.paddock.bundle, application/octet-stream, */*;q=0.1")
	req.Header.Set("Accept-Encoding", "identity")
	if d.n > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.n))
		req.Header.Set("If-Range", d.etag)
	}
	d.watch.waitHeader()
	resp, err := d.client.Do(req)
	if err != nil {
		return d.connectError(err)
	}
	d.watch.waitBody()
	d.body = resp.Body
	d.at = resp.Request.URL
	return d.accept(resp)
}

// accept judges the headers of an answer.
func (d *download) accept(resp *http.Response) error {
	switch {
	case resp.StatusCode == http.StatusPartialContent && d.n > 0:
		return d.acceptPart(resp)
	case resp.StatusCode == http.StatusOK && d.n > 0, resp.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		return errChanged // If-Range did not match any more, or the file is shorter now
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return d.fail(ReasonRedirect, resp.StatusCode, "the server redirects without saying where", nil)
	case resp.StatusCode != http.StatusOK:
		return d.fail(ReasonStatus, resp.StatusCode, "the server answers "+printable(resp.Status, 80), nil)
	}
	if e := resp.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return d.fail(ReasonProtocol, resp.StatusCode, "the server compresses the file although it was asked not to", nil)
	}
	if resp.ContentLength > d.op.maxFile() {
		return d.op.tooBig(resp.ContentLength)
	}
	d.total = resp.ContentLength
	// Only a strong validator promises the same bytes (RFC 9110 §8.8.1).
	if tag := resp.Header.Get("ETag"); strings.HasPrefix(tag, `"`) {
		d.etag = tag
	}
	return nil
}

// acceptPart checks that the answer starts exactly where the last one ended.
func (d *download) acceptPart(resp *http.Response) error {
	start, end, size, ok := parseContentRange(resp.Header.Get("Content-Range"))
	if !ok || start != d.n || end < start || size >= 0 && end >= size {
		return d.fail(ReasonProtocol, resp.StatusCode, "the server resumes at another place than it was asked to", nil)
	}
	if tag := resp.Header.Get("ETag"); tag != "" && tag != d.etag {
		return errChanged
	}
	if d.total >= 0 && size >= 0 && size != d.total {
		return errChanged
	}
	return nil
}

// parseContentRange reads "bytes START-END/SIZE"; size is -1 for "*".
func parseContentRange(s string) (start, end, size int64, ok bool) {
	rest, found := strings.CutPrefix(s, "bytes ")
	span, whole, found2 := strings.Cut(rest, "/")
	from, to, found3 := strings.Cut(span, "-")
	if !found || !found2 || !found3 {
		return 0, 0, 0, false
	}
	start, err1 := strconv.ParseInt(from, 10, 63)
	end, err2 := strconv.ParseInt(to, 10, 63)
	size, err3 := int64(-1), error(nil)
	if whole != "*" {
		size, err3 = strconv.ParseInt(whole, 10, 63)
	}
	return start, end, size, err1 == nil && err2 == nil && err3 == nil && start >= 0
}

// Read delivers the next bytes, over a new connection when it must.
func (d *download) Read(p []byte) (int, error) {
	for {
		n, err := d.body.Read(p)
		d.n += int64(n)
		d.watch.got(n)
		switch {
		case n > 0:
			return n, nil // an error will come again
		case err == nil:
			continue
		case err == io.EOF && (d.total < 0 || d.n >= d.total):
			return 0, io.EOF
		case d.op.ctx.Err() != nil:
			return 0, d.op.ctx.Err()
		case d.watch.stalled():
			return 0, d.fail(ReasonStalled, 0, d.tooSlow(), nil)
		}
		if err := d.resume(err); err != nil {
			return 0, err
		}
	}
}

// resume connects again after the connection was cut.
func (d *download) resume(cause error) error {
	for {
		if d.etag == "" && d.retries > 0 {
			return errChanged // nothing proves that the rest would belong to what we have: start over
		}
		if !d.spend() {
			if d.op.ctx.Err() != nil {
				return d.op.ctx.Err()
			}
			return d.fail(ReasonCut, 0, fmt.Sprintf("the connection was cut after %d bytes", d.n), cause)
		}
		if err := d.pause(); err != nil {
			return err
		}
		err := d.connect()
		var failed *DownloadError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &failed) && (failed.temporary() || failed.Reason == ReasonConnect):
			cause = err
		default:
			return err
		}
	}
}

func (d *download) tooSlow() string {
	l := d.op.o.Limits
	return fmt.Sprintf("the server sent less than %d KiB in %s", max(l.StallMin>>10, 1), l.Stall)
}

// fail makes a DownloadError about this download.
func (d *download) fail(reason string, status int, why string, err error) *DownloadError {
	e := &DownloadError{URL: d.first.url.String(), Reason: reason, Status: status, Why: why, Err: err}
	switch reason {
	case ReasonConnect, ReasonResolve:
		e.Hint = "Check the address and the network connection."
	case ReasonStatus:
		e.Hint = "Check the address; the file may have moved."
	case ReasonTLS:
		e.Hint = "The server cannot prove who it is. Do not install from it."
	case ReasonStalled, ReasonCut:
		e.Hint = "Try again later."
	default:
		e.Hint = "Tell the publisher; the server does not serve this file properly."
	}
	return e
}

// connectError sorts what http.Client returns.
func (d *download) connectError(err error) error {
	var refused *RefusedError
	var failed *DownloadError
	var resolve *resolveError
	var dns *net.DNSError
	var alert tls.AlertError
	var record tls.RecordHeaderError
	var unknown x509.UnknownAuthorityError
	var verify *tls.CertificateVerificationError
	var operr *net.OpError
	switch {
	case d.op.ctx.Err() != nil:
		return d.op.ctx.Err()
	case errors.As(err, &refused):
		return refused
	case errors.As(err, &failed):
		return failed
	case d.watch.stalled():
		return d.fail(ReasonConnect, 0, fmt.Sprintf("no answer within %s", d.op.o.Limits.Connect), nil)
	case errors.As(err, &resolve), errors.As(err, &dns):
		return d.fail(ReasonResolve, 0, "the host name cannot be resolved", cause(err))
	case errors.As(err, &verify), errors.As(err, &unknown), errors.As(err, &alert), errors.As(err, &record):
		return d.fail(ReasonTLS, 0, "no protected connection", cause(err))
	case errors.As(err, &operr) && operr.Op == "dial":
		return d.fail(ReasonConnect, 0, "no connection", cause(err))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &operr):
		return d.fail(ReasonCut, 0, "the connection was cut before an answer", cause(err))
	}
	return d.fail(ReasonProtocol, 0, "no usable answer", cause(err))
}

// cause takes the method and address off an error of http.Client: ours has them already.
func cause(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
