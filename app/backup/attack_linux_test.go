package backup

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// attack is a restore file made to reach something outside the app's data, or to leave something in it that no app can
// make itself. The archive's checksum is right, and it is sealed with this machine's key: the unpacker alone stands
// in its way.
type attack struct {
	name    string
	rule    string                                     // why the whole file is refused; "" means that it is unpacked, and harmless
	entries func(outside string) []entry               // outside is an absolute path beside the data folder
	worked  func(data, outside string) (string, error) // what the attack reached, "" when nothing
	root    bool                                       // the naive unpacker needs to be root for it
}

func link(name, target string) entry {
	return entry{tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}, ""}
}

func moded(kind byte, name string, mode int64, body string) entry {
	return entry{tar.Header{Typeflag: kind, Name: name, Mode: mode}, body}
}

// attacks are the rows "a restore file with grants, links and set-uid bits" of the attack suite, but for the grants, which are
// in TestGrantsBelongToTheSeal and in app and app/e2e.
func attacks() []attack {
	always := func(e ...entry) func(string) []entry { return func(string) []entry { return e } }
	written := func(data, outside string) (string, error) {
		raw, err := os.ReadFile(outside)
		if errors.Is(err, fs.ErrNotExist) || string(raw) == "PADDOCK-SECRET" {
			return "", nil
		}
		return "wrote " + outside, err
	}
	readable := func(data, outside string) (string, error) {
		raw, err := os.ReadFile(filepath.Join(data, "x"))
		if err != nil || string(raw) != "PADDOCK-SECRET" {
			return "", nil //nolint:nilerr // it is not there, which is what is asked
		}
		return "reads " + outside, nil
	}
	kept := func(name string, bits fs.FileMode) func(string, string) (string, error) {
		return func(data, _ string) (string, error) {
			st, err := os.Lstat(filepath.Join(data, name))
			if err != nil || st.Mode()&bits == 0 {
				return "", nil //nolint:nilerr // as above
			}
			return "left " + st.Mode().String(), nil
		}
	}
	const special = fs.ModeNamedPipe | fs.ModeDevice | fs.ModeCharDevice
	return []attack{
		{name: "a link to a file outside", rule: RuleLink, worked: readable, entries: func(o string) []entry { return []entry{link("data/x", o)} }},
		{name: "a link upwards", rule: RuleLink, worked: readable, entries: always(link("data/x", "../outside"))},
		{name: "a hard link to a file outside", rule: RuleLink, worked: readable, entries: func(o string) []entry {
			return []entry{{tar.Header{Typeflag: tar.TypeLink, Name: "data/x", Linkname: o}, ""}}
		}},
		{name: "writing through a linked folder", rule: RuleLink, worked: written, entries: always(link("data/d", ".."), plain("data/d/outside", "evil"))},
		{name: "writing through a link in place of a file", rule: RuleLink, worked: written, entries: always(link("data/f", "../outside"), plain("data/f", "evil"))},
		{name: "a name with ..", rule: RuleName, worked: written, entries: always(plain("data/../outside", "evil"))},
		{name: "a name with .. in the middle", rule: RuleName, worked: written, entries: always(moded(tar.TypeDir, "data/a/", 0o700, ""), plain("data/a/../../outside", "evil"))},
		{name: "a folder with ..", rule: RuleName, worked: func(data, _ string) (string, error) {
			if st, err := os.Stat(filepath.Join(data, "..", "made")); err == nil {
				return "made " + st.Name(), nil
			}
			return "", nil
		}, entries: always(moded(tar.TypeDir, "data/../made/", 0o700, ""))},
		{name: "an absolute name", rule: RuleOrder, worked: written, entries: func(o string) []entry { return []entry{plain(o, "evil")} }},
		{name: "an absolute name behind the folder", rule: RuleName, worked: nil, entries: func(o string) []entry { return []entry{plain("data/"+o, "evil")} }},
		{name: "a name in an extended header", rule: RuleName, worked: written, entries: always(
			entry{tar.Header{Typeflag: tar.TypeReg, Name: "data/" + strings.Repeat("a/../", 60) + "../outside", Mode: 0o600, Format: tar.FormatPAX}, "evil"})},
		{name: "a file beside the data", rule: RuleOrder, worked: written, entries: always(plain("outside", "evil"))},
		{name: "a pipe", rule: RuleSpecial, worked: kept("p", special), entries: always(moded(tar.TypeFifo, "data/p", 0o600, ""))},
		{name: "a character device", rule: RuleSpecial, root: true, worked: kept("null", special), entries: always(
			entry{tar.Header{Typeflag: tar.TypeChar, Name: "data/null", Mode: 0o666, Devmajor: 1, Devminor: 3}, ""})},
		{name: "a block device", rule: RuleSpecial, root: true, worked: kept("disk", special), entries: always(
			entry{tar.Header{Typeflag: tar.TypeBlock, Name: "data/disk", Mode: 0o666, Devmajor: 7, Devminor: 0}, ""})},
		{name: "a set-uid program", worked: kept("su", fs.ModeSetuid), entries: always(moded(tar.TypeReg, "data/su", 0o4755, "#!/bin/sh\n"))},
		{name: "a set-gid program", worked: kept("sg", fs.ModeSetgid), entries: always(moded(tar.TypeReg, "data/sg", 0o2755, "#!/bin/sh\n"))},
		{name: "a set-gid folder", worked: kept("d", fs.ModeSetgid), entries: always(moded(tar.TypeDir, "data/d/", 0o2777, ""))},
		{name: "a sticky folder", worked: kept("d", fs.ModeSticky), entries: always(moded(tar.TypeDir, "data/d/", 0o1777, ""))},
		{name: "a program", worked: kept("run", 0o111), entries: always(moded(tar.TypeReg, "data/run", 0o755, "#!/bin/sh\n"))},
		{name: "a file that others may write", worked: kept("open", 0o022), entries: always(moded(tar.TypeReg, "data/open", 0o666, "x"))},
		{name: "a folder that nobody may enter", worked: func(data, _ string) (string, error) {
			if st, err := os.Stat(filepath.Join(data, "shut")); err == nil && st.Mode().Perm() == 0 {
				return "made a folder that cannot be removed", nil
			}
			return "", nil
		}, entries: always(moded(tar.TypeDir, "data/shut/", 0, ""))},
		{name: "the same name twice", rule: RuleDuplicate, worked: func(data, _ string) (string, error) {
			if raw, _ := os.ReadFile(filepath.Join(data, "x")); string(raw) == "second" {
				return "replaced an entry", nil
			}
			return "", nil
		}, entries: always(plain("data/x", "first"), plain("data/x", "second"))},
		{name: "a file in place of a folder", rule: RuleDuplicate, worked: nil, entries: always(moded(tar.TypeDir, "data/x/", 0o700, ""), plain("data/x", "y"))},
		{name: "an entry under a file", rule: RuleUnderFile, worked: nil, entries: always(plain("data/x", "y"), plain("data/x/z", "y"))},
		{name: "an entry without its folder", rule: RuleUnderFile, worked: nil, entries: always(plain("data/none/z", "y"))},
		{name: "a file bigger than its archive", rule: RuleOrder, worked: func(data, _ string) (string, error) {
			if st, err := os.Stat(filepath.Join(data, "hole")); err == nil && st.Size() > 1<<20 {
				return "unpacked to more than it has", nil
			}
			return "", nil
		}, entries: always(sparse("data/hole"))},
		{name: "an unknown extension", rule: RuleOrder, worked: nil, entries: always(
			entry{tar.Header{Typeflag: tar.TypeReg, Name: "data/x", Format: tar.FormatPAX, PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "x"}}, "y"})},
	}
}

// sparse is a file of one byte and a hole of 8 MiB (GNU's form 0.1, in an extended header). archive/tar writes no such
// file, so the records carry names of the same length, which hole puts right.
func sparse(name string) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Format: tar.FormatPAX, Mode: 0o600, PAXRecords: map[string]string{
		"XXX.sparse.map": "0,1", "XXX.sparse.numblocks": "1", "XXX.sparse.size": "8388608",
	}}, "y"}
}

// hole makes the archive say what archive/tar would not write, and seals it again.
func hole(t *testing.T, file []byte) []byte {
	t.Helper()
	if !bytes.Contains(file, []byte("XXX.sparse")) {
		return file
	}
	return reseal(t, bytes.ReplaceAll(file, []byte("XXX.sparse"), []byte("GNU.sparse")))
}

// reseal makes the checksum and the seal of an archive anew.
func reseal(t *testing.T, file []byte) []byte {
	t.Helper()
	old := sealOf(t, file)
	i := bytes.Index(file, []byte(`{"sha256":`)) - block
	s := newSealer(ourKey)
	_, _ = s.Write(file[:i])
	now := s.seal()
	file = bytes.Replace(file, []byte(old.SHA256), []byte(now.SHA256), 1)
	return bytes.Replace(file, []byte(old.HMAC), []byte(now.HMAC), 1)
}

// TestAttacks: no restore file reaches outside the data or leaves there what an app could not make itself; and each of
// them does when a simpler program unpacks it.
func TestAttacks(t *testing.T) {
	for _, a := range attacks() {
		t.Run(a.name, func(t *testing.T) {
			place := func() (data, outside string, file []byte) {
				dir := t.TempDir()
				data, outside = filepath.Join(dir, "data"), filepath.Join(dir, "outside")
				if err := os.WriteFile(outside, []byte("PADDOCK-SECRET"), 0o600); err != nil {
					t.Fatal(err)
				}
				return data, outside, hole(t, archive(t, ourKey, a.entries(outside)...))
			}
			data, outside, file := place()
			if a.worked != nil && (!a.root || os.Getuid() == 0) {
				if err := naive(filepath.Dir(data), file); err != nil {
					if a.root && errors.Is(err, fs.ErrPermission) {
						t.Log("devices cannot be made here: ", err)
					} else {
						t.Fatalf("control: %v", err)
					}
				} else if got, err := a.worked(data, outside); got == "" || err != nil {
					t.Fatalf("control: the archive does nothing even to a simple program: %v", err)
				}
			}

			data, outside, file = place()
			r, err := Open(t.Context(), bytes.NewReader(file), Options{Key: ourKey})
			if err == nil {
				err = r.Bundle(filepath.Join(t.TempDir(), "b"))
			}
			if err != nil {
				t.Fatal(err)
			}
			err = r.Data(data)
			if rule := ruleOf(err); rule != a.rule || rule == "" && err != nil {
				t.Errorf("refused by %q (%v), want %q", rule, err, a.rule)
			}
			if a.worked != nil {
				if got, err := a.worked(data, outside); got != "" || err != nil {
					t.Errorf("it worked: %s %v", got, err)
				}
			}
			if raw, err := os.ReadFile(outside); err != nil || string(raw) != "PADDOCK-SECRET" {
				t.Errorf("outside: %q %v", raw, err)
			}
			listing(t, data) // insists on the modes
		})
	}
}

// naive unpacks a tar the way simple programs do: it believes names, links and modes, and later entries win.
func naive(dir string, file []byte) error {
	r := tar.NewReader(bytes.NewReader(file))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return err
		}
		name := filepath.Join(dir, h.Name)
		if filepath.IsAbs(h.Name) {
			name = h.Name
		}
		mode := h.FileInfo().Mode()
		switch h.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(name, 0o700)
		case tar.TypeSymlink:
			err = os.Symlink(h.Linkname, name)
		case tar.TypeLink:
			err = os.Link(h.Linkname, name)
		case tar.TypeFifo:
			err = syscall.Mkfifo(name, 0o600)
		case tar.TypeChar:
			err = syscall.Mknod(name, syscall.S_IFCHR|0o666, int(h.Devmajor<<8|h.Devminor))
		case tar.TypeBlock:
			err = syscall.Mknod(name, syscall.S_IFBLK|0o666, int(h.Devmajor<<8|h.Devminor))
		default:
			var f *os.File
			if f, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600); err == nil {
				_, err = io.Copy(f, r)
				err = errors.Join(err, f.Close())
			}
		}
		if err != nil {
			return err
		}
		if h.Typeflag == tar.TypeReg || h.Typeflag == tar.TypeDir {
			if err := os.Chmod(name, mode); err != nil {
				return err
			}
		}
	}
}
