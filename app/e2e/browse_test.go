package e2e

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"
)

// visitor is a client without a browser: it resolves *.localhost to loopback, as browsers do (RFC 6761),
// and keeps cookies.
type visitor struct {
	t      testing.TB
	origin string
	http   *http.Client
}

// visit spends the one-use link of o.
func visit(t testing.TB, gateway string, o opened) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{t: t, origin: o.Origin, http: &http.Client{Jar: jar, Timeout: deadline, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, gateway)
		},
	}}}
	t.Cleanup(v.http.CloseIdleConnections)
	resp, err := v.http.Get(o.AppURL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("the one-use link answers %s", resp.Status)
	}
	u, err := url.Parse(o.Origin)
	if err != nil {
		t.Fatal(err)
	}
	if len(jar.Cookies(u)) == 0 {
		t.Fatal("the one-use link gave no session")
	}
	return v
}

// get asks the app for a path and returns status, headers and body.
func (v *visitor) get(path string) (int, http.Header, string) {
	v.t.Helper()
	resp, err := v.http.Get(v.origin + path)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(body)
}

// try is get for requests that may fail.
func (v *visitor) try(path string, within time.Duration) (int, string) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.origin+path, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	resp, err := v.http.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.StatusCode, err.Error()
	}
	return resp.StatusCode, string(body)
}

// expect gets a path and insists on the body.
func (v *visitor) expect(path, want string) {
	v.t.Helper()
	if code, _, body := v.get(path); code != http.StatusOK || !strings.Contains(body, want) {
		v.t.Fatalf("%s answers %d %q, want %q", path, code, body, want)
	}
}
