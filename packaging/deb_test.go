package packaging

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestDeb builds the package as make deb does, twice, looks at it with Debian's own tools, and installs
// and purges it on a copy of this system.
func TestDeb(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a .deb is made and checked on Debian")
	}
	nfpm := os.Getenv("NFPM")
	if nfpm == "" {
		t.Skip("NFPM names no nfpm program: run make test-e2e") // make test always does
	}
	deb := buildDeb(t, nfpm)
	root := filepath.Join(t.TempDir(), "root")
	run(t, "dpkg-deb", "--extract", deb, root)

	// The slow ones run beside each other: a second build, lintian, dpkg-query, and an installation with its triggers.
	t.Run("same bytes twice", func(t *testing.T) {
		t.Parallel()
		again := buildDeb(t, nfpm)
		a, b := read(t, deb), read(t, again)
		if !bytes.Equal(a, b) {
			t.Errorf("two builds differ: %d and %d bytes", len(a), len(b))
		}
	})
	t.Run("version", func(t *testing.T) {
		m := regexp.MustCompile(`(?m)^Version = "(.*)"$`).FindSubmatch(read(t, filepath.Join("..", "FyneApp.toml")))
		if m == nil {
			t.Fatal("FyneApp.toml names no version")
		}
		if got, want := field(t, deb, "Version"), string(m[1])+"-1"; got != want {
			t.Errorf("version %s, want %s", got, want)
		}
	})
	t.Run("files", func(t *testing.T) { checkFiles(t, deb, root) })
	t.Run("pinned Deno", func(t *testing.T) {
		d, err := ThisPlatform()
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Verify(t.Context(), filepath.Join(root, "usr/lib/paddock/deno")); err != nil {
			t.Error(err)
		}
	})
	t.Run("libraries", func(t *testing.T) {
		t.Parallel()
		checkLibraries(t, deb, root)
	})
	t.Run("licences", func(t *testing.T) {
		texts := string(gunzip(t, filepath.Join(root, "usr/share/doc/paddock/third-party.txt.gz")))
		for _, want := range []string{"Deno ", "Inter typeface ", "fyne.io/fyne/v2 ", "github.com/getlantern/systray ", "github.com/evanw/esbuild "} {
			if !strings.Contains(texts, "\n"+want) {
				t.Errorf("the licence texts do not name %q", want)
			}
		}
		if !json.Valid(gunzip(t, filepath.Join(root, "usr/share/doc/paddock/sbom.spdx.json.gz"))) {
			t.Error("the bill of materials is no JSON")
		}
	})
	t.Run("desktop entries", func(t *testing.T) {
		entries, err := filepath.Glob(filepath.Join(root, "usr/share/applications/*.desktop"))
		if err != nil || len(entries) != 2 {
			t.Fatalf("desktop entries %v, error %v", entries, err)
		}
		run(t, "desktop-file-validate", append([]string{"--warn-kde"}, entries...)...)
		run(t, "appstreamcli", "validate", "--no-net", "--no-color", filepath.Join(root, "usr/share/metainfo/org.paddock.Paddock.metainfo.xml"))
	})
	t.Run("lintian", func(t *testing.T) {
		t.Parallel()
		// lintian of Debian 12 does not know that dpkg reads zstd since 1.21.18; releases are made with xz.
		run(t, "lintian", "--allow-root", "--fail-on", "error,warning", "--suppress-tags", "malformed-deb-archive", deb)
	})
	t.Run("install, use, remove, purge", func(t *testing.T) {
		t.Parallel()
		installOnCopy(t, deb)
	})
}

// buildDeb makes the package in a new folder and returns its path.
func buildDeb(t *testing.T, nfpm string) string {
	t.Helper()
	dist := t.TempDir()
	cmd := exec.Command("./deb.sh")
	cmd.Env = append(os.Environ(), "NFPM="+nfpm, "PADDOCK_DIST="+dist, "SOURCE_DATE_EPOCH=1767225600")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("deb.sh: %v\n%s", err, stderr.Bytes())
	}
	deb := strings.TrimSpace(string(out))
	if filepath.Dir(deb) != dist {
		t.Fatalf("deb.sh printed %q, want a file in %s", out, dist)
	}
	return deb
}

// checkFiles compares what is in the package with what must be, by name, mode and owner.
func checkFiles(t *testing.T, deb, root string) {
	want := map[string]string{
		"usr/bin/paddock":                                               "-rwxr-xr-x",
		"usr/lib/paddock/paddock-tray":                                  "-rwxr-xr-x",
		"usr/lib/paddock/paddock-window":                                "-rwxr-xr-x",
		"usr/lib/paddock/paddock-launch":                                "-rwxr-xr-x",
		"usr/lib/paddock/deno":                                          "-rwxr-xr-x",
		"usr/share/applications/org.paddock.Paddock.desktop":            "-rw-r--r--",
		"usr/share/applications/org.paddock.Paddock.Review.desktop":     "-rw-r--r--",
		"usr/share/mime/packages/org.paddock.Paddock.xml":               "-rw-r--r--",
		"usr/share/metainfo/org.paddock.Paddock.metainfo.xml":           "-rw-r--r--",
		"usr/share/icons/hicolor/scalable/apps/org.paddock.Paddock.svg": "-rw-r--r--",
		"usr/share/doc/paddock/copyright":                               "-rw-r--r--",
		"usr/share/doc/paddock/changelog.Debian.gz":                     "-rw-r--r--",
		"usr/share/doc/paddock/third-party.txt.gz":                      "-rw-r--r--",
		"usr/share/doc/paddock/sbom.spdx.json.gz":                       "-rw-r--r--",
		"usr/share/man/man1/paddock.1.gz":                               "-rw-r--r--",
		"usr/share/lintian/overrides/paddock":                           "-rw-r--r--",
		"usr/share/bash-completion/completions/paddock":                 "-rw-r--r--",
		"usr/share/zsh/vendor-completions/_paddock":                     "-rw-r--r--",
		"usr/share/fish/vendor_completions.d/paddock.fish":              "-rw-r--r--",
	}
	for _, size := range []string{"16", "22", "24", "32", "48", "64", "128", "256", "512"} {
		want["usr/share/icons/hicolor/"+size+"x"+size+"/apps/org.paddock.Paddock.png"] = "-rw-r--r--"
	}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode, known := want[rel]
		switch {
		case !known:
			t.Errorf("%s should not be there", rel)
		case info.Mode().String() != mode:
			t.Errorf("%s has mode %v, want %s", rel, info.Mode(), mode)
		case info.Size() == 0:
			t.Errorf("%s is empty", rel)
		}
		delete(want, rel)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range want {
		t.Errorf("%s is missing", name)
	}
	for line := range strings.Lines(run(t, "dpkg-deb", "--contents", deb)) {
		if !strings.Contains(line, " root/root ") {
			t.Errorf("not owned by root: %s", line)
		}
	}
}

// checkLibraries: every shared library that a program links comes with a package that is named in
// Depends. (libc6's own loader and libraries are one package.)
func checkLibraries(t *testing.T, deb, root string) {
	depends := field(t, deb, "Depends")
	var named []string
	for _, alternatives := range strings.Split(depends, ",") {
		for _, d := range strings.Split(alternatives, "|") {
			named = append(named, strings.Fields(d)[0])
		}
	}
	programs, err := filepath.Glob(filepath.Join(root, "usr/lib/paddock/*"))
	if err != nil {
		t.Fatal(err)
	}
	links := map[string][]string{} // library: programs
	for _, program := range append(programs, filepath.Join(root, "usr/bin/paddock")) {
		f, err := elf.Open(program)
		if err != nil {
			t.Fatal(err)
		}
		libraries, err := f.ImportedLibraries()
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatalf("%s: %v", program, err)
		}
		name := filepath.Base(program)
		if (name == "paddock" || name == "paddock-launch") && len(libraries) > 0 {
			t.Errorf("%s links %v: it must be static", name, libraries)
		}
		for _, library := range libraries {
			links[library] = append(links[library], name)
		}
	}
	if len(links) == 0 {
		t.Error("no program links any library: this checks nothing")
	}
	owners := owners(t, slices.Sorted(maps.Keys(links)))
	for library, programs := range links {
		if !slices.ContainsFunc(owners[library], func(p string) bool { return slices.Contains(named, p) }) {
			t.Errorf("%v link %s of %v, which Depends does not name: %s", programs, library, owners[library], depends)
		}
	}
}

// owners returns the packages that have a library of each of these names.
func owners(t *testing.T, libraries []string) map[string][]string {
	t.Helper()
	patterns := []string{"--search"}
	for _, library := range libraries {
		patterns = append(patterns, "*/"+library)
	}
	packages := map[string][]string{}
	for line := range strings.Lines(run(t, "dpkg-query", patterns...)) {
		owner, file, _ := strings.Cut(strings.TrimSpace(line), ": ")
		name, _, _ := strings.Cut(owner, ":") // the architecture follows
		packages[path.Base(file)] = append(packages[path.Base(file)], name)
	}
	return packages
}

// installOnCopy needs root. Continuous integration runs as root, and there it may not be left out.
func installOnCopy(t *testing.T, deb string) {
	if os.Geteuid() != 0 {
		t.Skip("installing a package needs root; everything else about it was checked")
	}
	script, err := filepath.Abs(filepath.Join("testdata", "install.sh"))
	if err != nil {
		t.Fatal(err)
	}
	shape := filepath.Join(t.TempDir(), "sample.paddock")
	writeBundleShape(t, shape)
	out, err := exec.CommandContext(t.Context(), "unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", script, deb, shape, packNotes(t)).CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		t.Logf("%s", out)
	case errors.As(err, &exit) && exit.ExitCode() == 77 && os.Getenv("CI") == "":
		t.Skipf("this machine cannot make a copy of its system: %s", out)
	default:
		t.Fatalf("%v\n%s", err, out)
	}
}

// packNotes makes a real bundle with the program that the package carries.
func packNotes(t *testing.T) string {
	t.Helper()
	paddock, dir := filepath.Join("..", "bin", "paddock"), t.TempDir()
	key, bundle := filepath.Join(dir, "author.key"), filepath.Join(dir, "notes.paddock")
	run(t, paddock, "keygen", "-o", key, "--no-password")
	run(t, paddock, "pack", filepath.Join("..", "assets", "examples", "notes"), "-o", bundle, "--key", key)
	return bundle
}

// writeBundleShape writes a file that has the outer form of a bundle, for the desktop's file types.
func writeBundleShape(t *testing.T, name string) {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, entry := range []string{"publisher.pub", "content.zip.minisig", "content.zip"} {
		if err := w.WriteHeader(&tar.Header{Name: entry, Mode: 0o644, Size: 4, Format: tar.FormatUSTAR}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("none")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func field(t *testing.T, deb, name string) string {
	t.Helper()
	return strings.TrimSpace(run(t, "dpkg-deb", "--field", deb, name))
}

// run returns what a program printed and fails the test when the program does.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.String()
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func gunzip(t *testing.T, name string) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(read(t, name)))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b.Bytes()
}
