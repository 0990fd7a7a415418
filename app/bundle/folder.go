package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// LeftOut says why a file or folder of an author's folder does not belong into a bundle; "" means it does.
// name is relative to that folder, with slashes.
func LeftOut(name string, folder bool) string {
	base := strings.ToLower(path.Base(name))
	switch {
	case secretName(base):
		return "it looks like a secret"
	case strings.HasPrefix(base, "."):
		return "hidden"
	case base == "node_modules": // a folder, or a link to one that several apps share
		return "packages are bundled into the app's one module"
	case !folder && (strings.HasSuffix(base, ".paddock") || strings.HasSuffix(base, ".minisig")):
		return "it is a bundle or a signature"
	case !folder && (base == "thumbs.db" || base == "desktop.ini" || strings.HasSuffix(base, "~")):
		return "a leftover of another program"
	}
	return ""
}

// secretName recognises files that nobody means to publish.
func secretName(base string) bool {
	switch base {
	case ".env", ".npmrc", ".netrc", ".pgpass", "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "minisign.key", "credentials.json", "service-account.json":
		return true
	}
	if strings.HasPrefix(base, ".env.") {
		return true
	}
	switch path.Ext(base) {
	case ".key", ".pem", ".p12", ".pfx", ".jks", ".keystore", ".ppk", ".kdbx", ".sec":
		return true
	}
	return false
}

// fromFolder copies an author's folder as it is.
func (op *opening) fromFolder(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open the folder: %w", err)
	}
	defer root.Close()
	raw, err := readFolderManifest(root, op.o.Limits)
	if err != nil {
		return err
	}
	if err := op.takeManifest(raw); err != nil {
		return err
	}
	t, err := op.tree(-1)
	if err != nil {
		return err
	}
	defer t.close()
	names := newNameSet()
	list := sha256.New() // of "name NUL size NUL sha256 LF" for each file, in walking order
	count := 0
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if LeftOut(name, d.IsDir()) != "" {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if count++; count > op.o.Limits.Entries {
			return refuse(RuleEntries, "", "the folder has more than %d files and folders", op.o.Limits.Entries)
		}
		if bad := checkName(name); bad != nil {
			return bad
		}
		if bad := names.add(name, d.IsDir()); bad != nil {
			return bad
		}
		switch {
		case d.IsDir():
			return t.folder(name)
		case d.Type()&fs.ModeSymlink != 0:
			return refuse(RuleLink, name, "it is a link, which could lead out of the app's folder")
		case !d.Type().IsRegular():
			return refuse(RuleSpecial, name, "it is a device, socket or pipe")
		}
		return copyFile(root, t, name, list)
	})
	if err != nil {
		return err
	}
	op.staged.SHA256 = hex.EncodeToString(list.Sum(nil))
	op.staged.Bytes = t.total
	return op.finish(t)
}

func readFolderManifest(root *os.Root, l Limits) ([]byte, error) {
	info, err := root.Lstat(ManifestName)
	switch {
	case err != nil:
		return nil, refuse(RuleManifest, ManifestName, "the folder has no manifest").hint("`paddock init` writes one.")
	case !info.Mode().IsRegular():
		return nil, refuse(RuleLink, ManifestName, "it is not a plain file")
	case info.Size() > l.Manifest:
		return nil, refuse(RuleManifest, ManifestName, "it has more than %d KiB", l.Manifest>>10)
	}
	return root.ReadFile(ManifestName)
}

func copyFile(root *os.Root, t *tree, name string, list io.Writer) error {
	f, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return fmt.Errorf("copy %s: %w", name, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("copy %s: %w", name, err)
	}
	if !info.Mode().IsRegular() { // it was replaced since the walk saw it
		return refuse(RuleSpecial, name, "it is no plain file")
	}
	sum := sha256.New()
	if err := t.file(name, io.TeeReader(f, sum), info.Size(), info.Size()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(list, "%s\x00%d\x00%x\n", name, info.Size(), sum.Sum(nil))
	return err
}
