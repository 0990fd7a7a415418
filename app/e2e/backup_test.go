package e2e

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

type (
	saved struct {
		OK      bool
		File    string
		Files   int
		LeftOut []struct{ Name, Why string } `json:"left_out"`
	}
	broughtBack struct {
		OK        bool
		ID        string
		Version   string
		Granted   []string
		Trusted   bool
		Undo      bool
		Suggested []struct{ Permission, Decision, Path, Why string }
	}
)

// keeper is an app with data of its own, a host and a folder that it asks for, and a cache that it wants no backup of.
func keeper(code int) source {
	return source{
		id: "org.example.keeper", code: code,
		manifest: map[string]any{
			"permissions": map[string]any{
				"network": []any{map[string]any{"host": "feeds.example", "port": 80, "reason": "Fetch."}},
				"files":   []any{map[string]any{"slot": "photos", "kind": "folder", "access": "read", "reason": "Show them."}},
			},
			"data": map[string]any{"schema": 1, "backup": map[string]any{"exclude": []any{"cache/*"}}},
		},
		main: `let n = 0;
		export default { async fetch(r: Request) {
			const u = new URL(r.url);
			if (u.pathname === "/write") { Deno.writeTextFileSync("note.txt", u.searchParams.get("t")!); return new Response("written"); }
			if (u.pathname === "/read") return new Response(Deno.readTextFileSync("note.txt"));
			if (u.pathname === "/out") { try { await fetch("http://feeds.example/"); return new Response("out"); } catch (e) { return new Response((e as Error).name); } }
			if (u.pathname === "/look") {
				const look = (dir: string): string[] => [...Deno.readDirSync(dir)].flatMap((e) => {
					const name = dir + "/" + e.name, s = Deno.lstatSync(name);
					return [name.slice(2) + (e.isSymlink ? " link" : " " + (s.mode! & 0o7777).toString(8)), ...(e.isDirectory ? look(name) : [])];
				});
				return new Response(look(".").sort().join(", "));
			}
			return new Response("hello " + ++n);
		} };`,
	}
}

// TestBackupAndRestore: one file brings an app back with its data and, on the computer that made it, the answers; what is in it
// is trusted no further than that.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	key := m.key()
	v1, v2, others := m.pack(keeper(1), key), m.pack(keeper(2), key), m.pack(keeper(1), m.key())
	a := m.start()
	must[okayInstall](m, "install", v1)
	photos := filepath.Join(t.TempDir(), "photos")
	if err := os.Mkdir(photos, 0o700); err != nil {
		t.Fatal(err)
	}
	must[okay](m, "grant", "keeper", "net:feeds.example:80")
	must[okay](m, "grant", "keeper", "files:photos", "--path", photos)
	v := visit(t, a.gateway, must[opened](m, "open", "keeper"))
	v.expect("/write?t=first", "written")
	data := must[struct{ Paths struct{ Data string } }](m, "info", "keeper").Paths.Data
	for _, f := range []func() error{
		func() error { return os.Symlink("/etc/passwd", filepath.Join(data, "link")) },
		func() error { return os.Mkdir(filepath.Join(data, "cache"), 0o700) },
		func() error { return os.WriteFile(filepath.Join(data, "cache", "big"), []byte("x"), 0o600) },
		func() error { return os.WriteFile(filepath.Join(data, "Why: 10:00?"), []byte("x"), 0o600) },
		func() error { return os.WriteFile(filepath.Join(data, "su"), []byte("x"), 0o600) },
		func() error { return os.Chmod(filepath.Join(data, "su"), 0o755|os.ModeSetuid) },
	} {
		if err := f(); err != nil {
			t.Fatal(err)
		}
	}
	v.expect("/look", "Why: 10:00? 600, cache 700, cache/big 600, link link, note.txt 600, su 4755") // the control

	file := filepath.Join(t.TempDir(), "keeper.backup")
	made := must[saved](m, "backup", "keeper", file)
	if !made.OK || made.File != file || made.Files != 3 || len(made.LeftOut) != 1 || made.LeftOut[0].Name != "link" || made.LeftOut[0].Why == "" {
		t.Fatalf("backup: %+v", made)
	}
	for _, name := range []string{file, filepath.Join(m.home, "backup.key")} {
		if st, err := os.Stat(name); err != nil || st.Mode() != 0o600 {
			t.Errorf("%s: %v %v", name, st, err)
		}
	}
	v.expect("/", "hello 1") // it was ended and started, and the session goes on
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := os.ReadFile(filepath.Join(m.home, "backup.key"))
	if err != nil || bytes.Contains(whole, secret) {
		t.Errorf("the key is in the backup, or %v", err)
	}
	for name, c := range map[string]struct {
		exit int
		code string
		file string
	}{
		"a file that is there": {1, "file_exists", file}, "a folder": {2, "is_folder", t.TempDir()}, "no such folder": {1, "no_folder", filepath.Join(t.TempDir(), "none", "x")},
		"Paddock's own folder": {2, "inside_home", filepath.Join(m.home, "apps", "x")},
	} {
		if no := m.refused(c.exit, "backup", "keeper", c.file); no.Error.Code != c.code || no.Error.Hint == "" {
			t.Errorf("%s: %+v", name, no.Error)
		}
	}
	secretFile := filepath.Join(m.home, "backup.key")
	if err := os.Chmod(secretFile, 0o644); err != nil {
		t.Fatal(err)
	}
	if no := m.refused(1, "restore", file); no.Error.Code != "backup_key" || no.Error.Hint == "" {
		t.Errorf("a key that others can read: %+v", no.Error)
	}
	if err := os.Chmod(secretFile, 0o600); err != nil {
		t.Fatal(err)
	}
	m.refused(4, "backup", "nobody", filepath.Join(t.TempDir(), "x"))
	m.refused(4, "restore", "--undo", "nobody")
	m.refused(2, "restore")

	// Back to it, and forth again.
	v.expect("/write?t=later", "written")
	must[okay](m, "revoke", "keeper", "net:feeds.example:80")
	must[okay](m, "deny", "keeper", "files:photos")
	back := must[broughtBack](m, "restore", file)
	if !back.OK || !back.Trusted || !back.Undo || strings.Join(back.Granted, " ") != "net:feeds.example:80" || len(back.Suggested) != 0 {
		t.Fatalf("restore: %+v", back)
	}
	v.expect("/read", "first")
	v.expect("/look", "Why: 10:00? 600, cache 700, note.txt 600, su 600")
	if got := m.answers("keeper"); got != "files:photos deny, net:feeds.example:80 allow" {
		t.Errorf("answers after the restore: %s", got)
	}
	must[broughtBack](m, "restore", "--undo", "keeper")
	v.expect("/read", "later")
	must[broughtBack](m, "restore", "--undo", "keeper")
	v.expect("/read", "first")

	// What is not a backup of this app as it was made changes nothing.
	m.noRestore(t, whole, key, v1)
	v.expect("/read", "first")
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(data), "before-*")); len(left) != 1 {
		t.Errorf("set aside: %v", left)
	}

	// An older version does not come over a newer one, and its answers with it come back after a removal only.
	must[okayInstall](m, "install", v2)
	if no := m.refused(3, "restore", file); no.Error.Code != "version_lower" {
		t.Errorf("an older version: %+v", no.Error)
	}
	v.expect("/read", "first")
	must[okay](m, "uninstall", "keeper", "--purge")
	back = must[broughtBack](m, "restore", file)
	if back.Version != "1.0.0" || !back.Trusted || back.Undo || strings.Join(back.Granted, " ") != "files:photos net:feeds.example:80" {
		t.Errorf("restored anew: %+v", back)
	}
	v = visit(t, a.gateway, must[opened](m, "open", "keeper"))
	v.expect("/read", "first")

	// Another publisher's app of the same id is not touched.
	must[okay](m, "uninstall", "keeper", "--purge")
	must[okayInstall](m, "install", others)
	if no := m.refused(3, "restore", file); no.Error.Code != "publisher_changed" {
		t.Errorf("another publisher: %+v", no.Error)
	}
	if left, _ := os.ReadDir(filepath.Join(m.home, "staging")); len(left) != 0 {
		t.Errorf("left in staging: %v", left)
	}
	if left, _ := filepath.Glob(filepath.Join(m.home, "apps", "*")); len(left) != 1 {
		t.Errorf("app folders: %v", left)
	}

	// Elsewhere the answers are only shown. The attack on the agent itself: grants and set-uid bits that nobody gave.
	must[okay](m, "uninstall", "keeper", "--purge")
	for name, foreign := range map[string]string{
		"changed since": m.file(t, reseal(t, whole, `"cpu_percent": 100`, `"cpu_percent": 101`)),
		"made by hand":  m.file(t, forge(t, whole)),
	} {
		back = must[broughtBack](m, "restore", foreign)
		if back.Trusted || len(back.Granted) != 0 || len(back.Suggested) != 2 {
			t.Errorf("%s: %+v", name, back)
		}
		if got := m.answers("keeper"); got != "files:photos ask, net:feeds.example:80 ask" {
			t.Errorf("%s: answers %s", name, got)
		}
		v = visit(t, a.gateway, must[opened](m, "open", "keeper"))
		v.expect("/out", "NotCapable")
		v.expect("/read", "first")
		if name == "made by hand" { // with mode 6777 each
			v.expect("/look", "d 700, note.txt 600, su 600")
		}
	}
}

// TestKilledWhileRestoring: SIGKILL in the middle of a restore leaves the app as it was, and nothing of the restore after
// the next start.
func TestKilledWhileRestoring(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	bundle := m.pack(keeper(1), m.key())
	a := m.start()
	must[okayInstall](m, "install", bundle)
	v := visit(t, a.gateway, must[opened](m, "open", "keeper"))
	v.expect("/write?t=first", "written")
	paths := must[struct{ Paths struct{ Data string } }](m, "info", "keeper").Paths
	hole := filepath.Join(paths.Data, "hole") // takes no room there, and time to unpack
	if err := errors.Join(os.WriteFile(hole, nil, 0o600), os.Truncate(hole, 200<<20)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "keeper.backup")
	must[saved](m, "backup", "keeper", file)
	v.expect("/write?t=later", "written")
	restored := make(chan result, 1)
	go func() { restored <- m.run("restore", file) }()
	eventually(t, "the data is being unpacked", deadline, func() bool {
		all, err := filepath.Glob(filepath.Join(m.home, "staging", "restore-*", "data", "hole"))
		return err == nil && len(all) == 1 || len(restored) > 0
	})
	a.end(syscall.SIGKILL)
	r := <-restored
	b := m.start()
	text, aside := "later", 0
	if r.code == 0 { // this test was too slow for this machine: then it has happened wholly
		text, aside = "first", 1
	} else if r.code != 5 {
		t.Errorf("the command ends with %d: %s", r.code, r.stderr)
	}
	visit(t, b.gateway, must[opened](m, "open", "keeper")).expect("/read", text)
	for pattern, want := range map[string]int{filepath.Join(m.home, "staging", "*"): 0, filepath.Join(filepath.Dir(paths.Data), "before-*"): aside} {
		if left, _ := filepath.Glob(pattern); len(left) != want {
			t.Errorf("left: %v", left)
		}
	}
}

// answers are an app's permissions with their answers, sorted.
func (m *machine) answers(app string) string {
	m.t.Helper()
	var out []string
	for _, p := range must[[]answer](m, "permissions", app) {
		out = append(out, p.Permission+" "+p.Decision)
	}
	if len(out) == 2 && out[0] > out[1] {
		out[0], out[1] = out[1], out[0]
	}
	return strings.Join(out, ", ")
}

// file keeps bytes in a file.
func (m *machine) file(t *testing.T, raw []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "x.backup")
	if err := os.WriteFile(name, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// noRestore tries files that are no backups, or not of what they say.
func (m *machine) noRestore(t *testing.T, whole []byte, key, bundle string) {
	t.Helper()
	flipped := bytes.Clone(whole)
	flipped[bytes.LastIndex(whole, []byte("first"))] ^= 1
	inside := bytes.Clone(whole)
	inside[bytes.Index(whole, []byte("PK\x03\x04"))+40] ^= 1 // in the content zip
	badBundle := seal(t, inside)
	linked := m.keeps(t, whole, tar.Header{Typeflag: tar.TypeSymlink, Name: "data/x", Linkname: "/etc/passwd"})
	outside := m.keeps(t, whole, tar.Header{Typeflag: tar.TypeReg, Name: "data/../../x", Mode: 0o600})
	for name, c := range map[string]struct {
		file string
		exit int
		code string
	}{
		"a flipped bit in the data":   {m.file(t, flipped), 3, "backup_damaged"},
		"a changed bundle":            {m.file(t, badBundle), 3, "signature"},
		"cut in the middle":           {m.file(t, whole[:len(whole)/2]), 3, ""},
		"cut at the end":              {m.file(t, whole[:len(whole)-3000]), 3, "truncated"},
		"empty":                       {m.file(t, nil), 3, "backup_format"},
		"text":                        {m.file(t, []byte("hello")), 3, "backup_format"},
		"a bundle":                    {bundle, 3, "backup_format"},
		"a newer form":                {m.file(t, reseal(t, whole, `"format": 1`, `"format": 9`)), 3, "backup_newer"},
		"another app's name":          {m.file(t, reseal(t, whole, `"id": "org.example.keeper"`, `"id": "org.example.kepper"`)), 3, "backup_header"},
		"a link":                      {linked, 3, "link"},
		"a name that leads elsewhere": {outside, 3, "name"},
		"a folder":                    {t.TempDir(), 3, "backup_format"},
		"no such file":                {filepath.Join(t.TempDir(), "none"), 1, "no_file"},
	} {
		no := m.refused(c.exit, "restore", c.file)
		if c.code != "" && no.Error.Code != c.code {
			t.Errorf("%s: code %s, want %s (%s)", name, no.Error.Code, c.code, no.Error.Message)
		}
		if no.Error.Hint == "" || strings.Contains(no.Error.Message, "\n") {
			t.Errorf("%s: not one sentence with a next step: %+v", name, no.Error)
		}
	}
}

// reseal changes a text in a backup and makes its checksum right again, as anybody could.
func reseal(t *testing.T, whole []byte, old, now string) []byte {
	t.Helper()
	if !bytes.Contains(whole, []byte(old)) || len(old) != len(now) {
		t.Fatalf("there is no %s, or it is no replacement", old)
	}
	return seal(t, bytes.Replace(whole, []byte(old), []byte(now), 1))
}

func seal(t *testing.T, file []byte) []byte {
	t.Helper()
	i := bytes.LastIndex(file, []byte(`{"sha256":"`))
	sum := sha256.Sum256(file[:i-512])
	file = bytes.Clone(file)
	copy(file[i+len(`{"sha256":"`):], hex.EncodeToString(sum[:]))
	return file
}

// keeps is a backup like another one with more data in it.
func (m *machine) keeps(t *testing.T, whole []byte, more ...tar.Header) string {
	t.Helper()
	return m.file(t, remake(t, whole, func(h *tar.Header) {}, more...))
}

// forge makes a backup of the same app by hand: every answer is yes, and everything has set-uid and set-gid bits.
func forge(t *testing.T, whole []byte) []byte {
	t.Helper()
	return remake(t, whole, func(h *tar.Header) { h.Mode = 0o6777 }, tar.Header{Typeflag: tar.TypeDir, Name: "data/d/", Mode: 0o6777})
}

// remake copies a backup entry by entry, without what the test does not need.
func remake(t *testing.T, whole []byte, change func(*tar.Header), more ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	r := tar.NewReader(bytes.NewReader(whole))
	add := func(h tar.Header, body []byte) {
		h.Size = int64(len(body))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	for {
		h, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if h.Name == "seal.json" {
			break
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(h.Name, "cache") || strings.Contains(h.Name, "Why") {
			continue
		}
		change(h)
		add(*h, body)
	}
	for _, h := range more {
		add(h, nil)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(out.Bytes())
	text, err := json.Marshal(map[string]string{"sha256": hex.EncodeToString(sum[:]), "hmac": fmt.Sprintf("%064d", 0)})
	if err != nil {
		t.Fatal(err)
	}
	add(tar.Header{Typeflag: tar.TypeReg, Name: "seal.json"}, text)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
