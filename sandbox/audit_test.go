package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"paddock/sandbox/permission"
)

// audited is a line as Deno writes it.
func audited(t testing.TB, kind string, value any) string {
	t.Helper()
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false) // serde_json escapes no more than it must
	if err := e.Encode(value); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"v":1,"datetime":"2026-11-22T19:11:43Z","permission":%q,"value":%s}`, kind, strings.TrimSpace(text.String()))
}

func TestParseAudit(t *testing.T) {
	for _, want := range []auditCheck{
		{"read", "/home/u/a b"}, {"read", `/tmp/é"q`}, {"net", "localhost:9"}, {"env", "HOME"}, {"run", ""}, {"write", "line\nend"},
	} {
		var value any = want.value
		if want.value == "" {
			value = nil
		}
		line := audited(t, want.kind, value)
		if have, ok := parseAudit([]byte(line)); !ok || have != want {
			t.Errorf("%s: %+v %v", line, have, ok)
		}
	}
	good := audited(t, "read", "/x")
	for _, line := range []string{
		"", "{}", "null", good + " ", " " + good, good + good, strings.TrimSuffix(good, "}"), strings.Replace(good, `"v":1`, `"v":2`, 1),
		strings.Replace(good, `{"v"`, `{ "v"`, 1), strings.Replace(good, "read", "Read", 1), strings.Replace(good, "read", "everything", 1),
		strings.Replace(good, `"/x"`, `7`, 1), strings.Replace(good, `"/x"`, `["/x"]`, 1), strings.Replace(good, `"/x"`, `"/x`, 1),
		strings.Replace(good, `"/x"`, `"/x","more":1`, 1), strings.Replace(good, `"/x"`, "\"/\xff\"", 1), strings.Replace(good, `"/x"`, "\"/\x01\"", 1),
		strings.Replace(good, "2026-11-22", "2026-13-22", 1), strings.Replace(good, "2026-11-22T19:11:43Z", strings.Repeat("9", 100), 1),
	} {
		if check, ok := parseAudit([]byte(line)); ok {
			t.Errorf("%q is taken for %+v", line, check)
		}
	}
}

func auditSpec(t testing.TB) (Spec, Paths) {
	t.Helper()
	s := goldenSpec()
	s.Allow = mustSet(t, "net:api.example.com", "net:*.example.org:8443", "sys:hostname", "files:photos", "files:letter")
	s.Deny = mustSet(t, "net:ads.example.org:8443")
	s.Slots = []Slot{
		{Name: "photos", Path: "/home/u/Photos", Folder: true},
		{Name: "letter", Path: "/home/u/letter.txt", Write: true},
	}
	s.Facts = map[string]string{"PADDOCK_VERSION": "1"}
	p, err := PathsOf(goldenOptions(), s, false)
	if err != nil {
		t.Fatal(err)
	}
	return s, p.withAudit()
}

// What Deno says it checked becomes a permission and what the grants say of it, or nothing where every app may, or
// where the proxy counts.
func TestAuditUses(t *testing.T) {
	s, p := auditSpec(t)
	rules := newAuditRules(s, p)
	const nothing = "-"
	for _, c := range []struct{ kind, value, want string }{
		{"read", s.DataDir + "/x", nothing},
		{"write", s.DataDir + "/x", nothing},
		{"read", "x/y", nothing}, // where the app runs
		{"read", "../../letter", "read refused"},
		{"read", s.AppDir + "/app.js", nothing},
		{"write", s.AppDir + "/app.js", "write refused"},
		{"read", s.AppDir + "endix", "read refused"},
		{"read", p.Socket, nothing},
		{"read", "/etc/passwd", "read refused"},
		{"write", "/etc/passwd", "write refused"},
		{"write", "", "write refused"},
		{"write", "<TMP>", "write refused"},
		{"read", "<CWD>", nothing},
		{"read", s.DataDir + "/../../../../etc/passwd", "read refused"},
		{"read", "/home/u/Photos", "files:photos allowed"},
		{"read", "/home/u/Photos/2026/a.jpg", "files:photos allowed"},
		{"write", "/home/u/Photos/a.jpg", "files:photos refused"},
		{"read", "/home/u/Photos2", "read refused"},
		{"write", "/home/u/letter.txt", "files:letter allowed"},
		{"read", "/home/u/letter.txt/x", "read refused"},

		{"net", "api.example.com:443", nothing},
		{"net", "https://evil.example.net/", nothing},
		{"net", "evil.example.net:443", "net:evil.example.net refused"},
		{"net", "API.example.com:80", "net:api.example.com:80 refused"},
		{"net", "a.example.org:8443", nothing},
		{"net", "ads.example.org:8443", "net:ads.example.org:8443 refused"},
		{"net", "127.0.0.1:80", "net refused"},
		{"net", "10.0.0.1:80", "net refused"},
		{"net", "unix:" + p.Socket, nothing},
		{"net", "unix:/run/user/1000/bus", "net refused"},
		{"net", "", "net refused"},

		{"sys", "hostname", "sys:hostname allowed"},
		{"sys", "osRelease", "sys:osRelease refused"},
		{"sys", "inspector", "sys refused"},
		{"sys", "made up", "sys refused"},
		{"env", "PADDOCK_VERSION", nothing},
		{"env", "HOME", "env refused"},
		{"env", "", "env refused"},
		{"run", "", "run refused"},
		{"ffi", "/lib/x.so", "ffi refused"},
		{"import", "deno.land:443", "import refused"},
	} {
		have := nothing
		if name, allowed, ok := rules.use(auditCheck{c.kind, c.value}); ok {
			have = name + map[bool]string{true: " allowed", false: " refused"}[allowed]
		}
		if have != c.want {
			t.Errorf("%s %s: %s, want %s", c.kind, c.value, have, c.want)
		}
	}
	s.Allow = mustSet(t, "lan")
	lan := newAuditRules(s, p)
	for value, want := range map[string]bool{"10.0.0.1:80": false, "nas.local:80": false, "127.0.0.1:80": true, "example.com:443": true} {
		if _, _, ok := lan.use(auditCheck{"net", value}); ok != want {
			t.Errorf("with lan, %s is reported: %v", value, ok)
		}
	}
	s.Allow = mustSet(t, "net:*")
	all := newAuditRules(s, p)
	if _, _, ok := all.use(auditCheck{"net", "example.com:81"}); ok {
		t.Error("with net:*, what the proxy counts is reported too")
	}
}

// sum counts what a reader tells.
func sum(uses []Use) map[string]int64 {
	counts := map[string]int64{}
	for _, u := range uses {
		counts[u.Permission] += u.Count
	}
	return counts
}

func readerForTest(t testing.TB) (*auditReader, *[]Use) {
	t.Helper()
	uses := &[]Use{}
	r := newAuditReader(newAuditRules(auditSpec(t)), func(u Use) { *uses = append(*uses, u) })
	return r, uses
}

// Lines are put together again, however the pipe cuts them.
func TestAuditLines(t *testing.T) {
	s, _ := auditSpec(t)
	text := audited(t, "sys", "hostname") + "\n" + audited(t, "read", s.DataDir+"/x") + "\nnot Deno's\n" +
		audited(t, "read", "/"+strings.Repeat("x", auditLine)) + "\n" + audited(t, "run", nil) + "\n" + `{"v":1,"datet`
	for _, size := range []int{1, 7, 100, 1 << 20} {
		r, uses := readerForTest(t)
		if err := r.drain(atOnce(), &pieces{[]byte(text), size}); err != nil {
			t.Fatal(err)
		}
		have := sum(*uses)
		if have["sys:hostname"] != 1 || have["run"] != 1 || have[AuditUnreadable] != 2 || have[AuditDropped] != 1 || len(have) != 4 {
			t.Errorf("in pieces of %d: %v", size, have)
		}
	}
}

// atOnce is a context that has ended: a reader makes no pauses then.
func atOnce() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

type pieces struct {
	rest []byte
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(p.size, len(b))], p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// More lines than the host looks at are counted, not lost, and what the reader holds does not grow.
func TestAuditReaderIsBounded(t *testing.T) {
	r, uses := readerForTest(t)
	clock := time.Now()
	r.now = func() time.Time { return clock }
	line := []byte(audited(t, "sys", "hostname") + "\n")
	for range 3 * auditLinesBurst {
		r.take(line)
	}
	have := sum(*uses)
	if have["sys:hostname"] != auditLinesBurst || have[AuditDropped] != 2*auditLinesBurst {
		t.Errorf("of %d lines: %v", 3*auditLinesBurst, have)
	}
	clock = clock.Add(2 * time.Second)
	*uses = nil
	r.take(line)
	if have := sum(*uses); have["sys:hostname"] != 1 {
		t.Errorf("after two seconds: %v", have)
	}
	for range 64 {
		r.take(bytes.Repeat([]byte("x"), 64<<10))
	}
	if cap(r.line) > 4*auditLine {
		t.Errorf("the reader holds %d bytes of a line without an end", cap(r.line))
	}
}

// Whatever an app writes, what is told stays within the vocabulary.
func FuzzAudit(f *testing.F) {
	s, p := auditSpec(f)
	f.Add([]byte(audited(f, "read", "/etc/passwd") + "\n" + audited(f, "net", "[::1]:80")))
	f.Add([]byte(audited(f, "sys", nil)))
	f.Add([]byte(audited(f, "write", s.DataDir+"/..")))
	f.Add([]byte("{\"v\":1}\n\n\xff"))
	bare := []string{"read", "write", "net", "env", "sys", "run", "ffi", "import", AuditDropped, AuditUnreadable}
	f.Fuzz(func(t *testing.T, text []byte) {
		r := newAuditReader(newAuditRules(s, p), func(u Use) {
			if u.Count < 1 {
				t.Errorf("told of %d uses", u.Count)
			}
			if slices.Contains(bare, u.Permission) {
				if u.Allowed {
					t.Errorf("%s is allowed", u.Permission)
				}
				return
			}
			parsed, err := permission.Parse(u.Permission)
			if err != nil || parsed.String() != u.Permission {
				t.Errorf("told of %q: %v", u.Permission, err)
			}
			if u.Allowed && !s.Allow.Covers(parsed) {
				t.Errorf("%s is allowed and was not granted", u.Permission)
			}
		})
		if err := r.drain(atOnce(), bytes.NewReader(text)); err != nil {
			t.Error(err)
		}
		if filepath.Separator == '/' && cap(r.line) > 4*auditLine {
			t.Errorf("the reader holds %d bytes", cap(r.line))
		}
	})
}
