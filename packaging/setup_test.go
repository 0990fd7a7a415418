package packaging

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// servers is the folder with the list of packages that end-to-end tests run.
const servers = "app/e2e/testdata/servers"

// fresh is a machine on which nothing is installed: a copy of what set-up reads, and stand-ins for the
// programs that would change the real machine. Each stand-in appends its name and arguments to a log.
type fresh struct {
	t        *testing.T
	dir, log string
	path     string // of the stand-ins, before the real PATH
}

func newFresh(t *testing.T) *fresh {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("apt is for Linux")
	}
	f := &fresh{t: t, dir: t.TempDir()}
	f.log = filepath.Join(f.dir, "log")
	f.path = filepath.Join(f.dir, "stand-ins")
	for _, d := range []string{f.path, filepath.Join(f.dir, "packaging"), filepath.Join(f.dir, servers)} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"packaging/setup.sh", "packaging/deno.json", "go.mod", servers + "/package.json", servers + "/package-lock.json"} {
		f.write(name, string(read(t, filepath.Join("..", name))), 0o755)
	}
	f.program("dpkg-query", `exit 1`) // knows no package
	f.program("apt-get", ``)
	f.program("sudo", `"$@"`)
	f.program("npm", `mkdir node_modules`)
	return f
}

func (f *fresh) write(name, text string, mode os.FileMode) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), mode); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fresh) program(name, body string) {
	f.t.Helper()
	f.write(filepath.Join("stand-ins", name), "#!/bin/sh\necho \""+name+" $*\" >>"+f.log+"\n"+body+"\n", 0o755)
}

// setup runs the script and returns what it printed and which stand-ins were called.
func (f *fresh) setup(env []string, groups ...string) (printed string, calls []string, err error) {
	f.t.Helper()
	cmd := exec.CommandContext(f.t.Context(), "bash", append([]string{filepath.Join(f.dir, "packaging", "setup.sh")}, groups...)...)
	cmd.Env = append(os.Environ(), "PATH="+f.path+string(os.PathListSeparator)+os.Getenv("PATH"))
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	if raw, e := os.ReadFile(f.log); e == nil {
		calls = strings.Split(strings.TrimSpace(string(raw)), "\n")
	}
	return string(out), calls, err
}

func called(calls []string, prefix string) (line string) {
	for _, c := range calls {
		if strings.HasPrefix(c, prefix) {
			line = c
		}
	}
	return line
}

func TestSetupInstallsWhatIsMissing(t *testing.T) {
	t.Run("as root", func(t *testing.T) {
		f := newFresh(t)
		f.program("id", "echo 0")
		printed, calls, err := f.setup(nil, "package")
		if err != nil {
			t.Fatalf("%v\n%s", err, printed)
		}
		install := called(calls, "apt-get")
		if !strings.Contains(install, "install") || !strings.Contains(install, "lintian") {
			t.Errorf("apt was called with %q", install)
		}
		if strings.Contains(install, "chromium") {
			t.Errorf("the package group installed the test group: %q", install)
		}
		if called(calls, "sudo") != "" {
			t.Error("root asked sudo")
		}
		if !strings.Contains(printed, "lintian") {
			t.Errorf("it does not say what it installs: %q", printed)
		}
	})
	t.Run("with sudo", func(t *testing.T) {
		f := newFresh(t)
		f.program("id", "echo 1000")
		if printed, calls, err := f.setup(nil, "test"); err != nil || !strings.Contains(called(calls, "sudo"), "apt-get") {
			t.Errorf("error %v, calls %q\n%s", err, calls, printed)
		}
	})
	t.Run("only what is missing", func(t *testing.T) {
		f := newFresh(t)
		f.program("id", "echo 0")
		f.program("dpkg-query", `case "$*" in *lintian*) exit 1;; *appstream*) echo "deinstall ok config-files";; *) printf "install ok installed";; esac`)
		printed, calls, err := f.setup(nil, "package")
		if err != nil {
			t.Fatalf("%v\n%s", err, printed)
		}
		if got := called(calls, "apt-get"); !strings.HasSuffix(got, " appstream lintian") {
			t.Errorf("apt was called with %q, want appstream (removed, configuration kept) and lintian only", got)
		}
	})
	t.Run("apt fails", func(t *testing.T) {
		f := newFresh(t)
		f.program("id", "echo 0")
		f.program("apt-get", "exit 100")
		if printed, _, err := f.setup(nil, "package"); err == nil {
			t.Errorf("apt failed and set-up did not: %s", printed)
		}
	})
	t.Run("dry run", func(t *testing.T) {
		f := newFresh(t)
		printed, calls, err := f.setup([]string{"PADDOCK_SETUP_DRY_RUN=1"})
		if err != nil || called(calls, "apt-get") != "" || !strings.Contains(printed, "libgtk-3-dev") {
			t.Errorf("error %v, calls %q\n%s", err, calls, printed)
		}
	})
	t.Run("bench unpacks and installs nothing", func(t *testing.T) {
		f := newFresh(t)
		f.program("apt-get", `for p; do case $p in caddy|nginx) echo >$p.deb;; install) exit 1;; esac; done`)
		f.program("dpkg-deb", `mkdir -p $3/usr/sbin; n=$(basename $2 .deb); echo "#!/bin/sh" >$3/usr/sbin/$n; chmod 755 $3/usr/sbin/$n`)
		f.program("go", ``)
		for _, tool := range []string{"mkdir", "mktemp", "rm", "basename", "chmod", "id", "dirname"} {
			real, err := exec.LookPath(tool)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(real, filepath.Join(f.path, tool)); err != nil {
				t.Fatal(err)
			}
		}
		hide := []string{"PATH=" + f.path} // no server of this machine
		printed, calls, err := f.setup(hide, "bench")
		if err != nil || !strings.Contains(called(calls, "apt-get"), "download caddy") || called(calls, "dpkg-deb") == "" {
			t.Errorf("error %v, calls %q\n%s", err, calls, printed)
		}
		if printed, again, err := f.setup(hide, "bench"); err != nil || len(again) != len(calls) {
			t.Errorf("the second time: error %v, calls %q\n%s", err, again[len(calls):], printed)
		}
	})
	t.Run("unknown group", func(t *testing.T) {
		f := newFresh(t)
		if printed, calls, err := f.setup(nil, "package", "everything"); err == nil || called(calls, "apt-get") != "" {
			t.Errorf("accepted: calls %q\n%s", calls, printed)
		}
	})
}

// The names are real: every package that set-up would install is one that this system's apt knows or has.
func TestSetupNamesRealPackages(t *testing.T) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skip("no apt here")
	}
	f := newFresh(t)
	printed, _, err := f.setup([]string{"PADDOCK_SETUP_DRY_RUN=1"})
	if err != nil {
		t.Fatal(err)
	}
	_, list, ok := strings.Cut(printed, "would install: ")
	if !ok {
		t.Fatalf("printed %q", printed)
	}
	out, err := exec.CommandContext(t.Context(), "apt-get", append([]string{"--simulate", "-qq", "install"}, strings.Fields(list)...)...).CombinedOutput()
	if err != nil {
		t.Errorf("apt-get --simulate: %v\n%s", err, out)
	}
}

// fakeNpm answers `npm pack` with an archive that holds the given bytes as the executable.
func (f *fresh) fakeNpm(executable []byte) {
	f.t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	err := w.WriteHeader(&tar.Header{Name: "package/deno", Mode: 0o755, Size: int64(len(executable))})
	if err == nil {
		_, err = w.Write(executable)
	}
	if err := errors.Join(err, w.Close(), z.Close()); err != nil {
		f.t.Fatal(err)
	}
	f.write("archive.tgz", b.String(), 0o644)
	f.program("npm", "cp "+filepath.Join(f.dir, "archive.tgz")+" ./deno.tgz")
}

// pin makes every platform expect the given bytes.
func (f *fresh) pin(executable []byte) {
	f.t.Helper()
	sum := sha256.Sum256(executable)
	all, err := pins()
	if err != nil {
		f.t.Fatal(err)
	}
	text := string(read(f.t, filepath.Join(f.dir, "packaging", "deno.json")))
	for _, d := range all {
		text = strings.ReplaceAll(text, d.SHA256, hex.EncodeToString(sum[:]))
	}
	f.write("packaging/deno.json", text, 0o644)
}

func TestSetupFetchesThePinnedDeno(t *testing.T) {
	f := newFresh(t)
	good := []byte("#!/bin/sh\n")
	f.pin(good)
	f.fakeNpm(good)
	bin := filepath.Join(f.dir, "bin", "deno")
	npmCalls := func(calls []string) (n int) {
		for _, c := range calls {
			if strings.HasPrefix(c, "npm pack") {
				n++
			}
		}
		return n
	}

	printed, calls, err := f.setup(nil, "headless")
	if err != nil || npmCalls(calls) != 1 {
		t.Fatalf("error %v, calls %q\n%s", err, calls, printed)
	}
	if !bytes.Equal(read(t, bin), good) {
		t.Error("bin/deno is not what was fetched")
	}
	if d, err := ThisPlatform(); err != nil || !strings.Contains(called(calls, "npm pack"), d.Package+"@"+d.Version) {
		t.Errorf("fetched %q, want the pinned package", called(calls, "npm pack"))
	}

	if printed, calls, err = f.setup(nil, "headless"); err != nil || printed != "" || npmCalls(calls) != 1 {
		t.Errorf("the second time is not quiet: error %v, calls %q, printed %q", err, calls, printed)
	}

	// Altered after it was installed: put back from what was kept, without the network.
	if err := os.WriteFile(bin, []byte("#!/bin/sh\necho worse\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if printed, calls, err = f.setup(nil, "headless"); err != nil || npmCalls(calls) != 1 {
		t.Errorf("repair: error %v, calls %q\n%s", err, calls, printed)
	}
	if !bytes.Equal(read(t, bin), good) {
		t.Error("the altered bin/deno was kept")
	}
}

func TestSetupRefusesAnotherDeno(t *testing.T) {
	f := newFresh(t)
	f.fakeNpm([]byte("not the pinned bytes"))
	printed, _, err := f.setup(nil, "headless")
	if err == nil || !strings.Contains(printed, "pins") {
		t.Fatalf("error %v, printed %q", err, printed)
	}
	for _, name := range []string{"bin/deno", "bin"} {
		if _, err := os.Lstat(filepath.Join(f.dir, name)); err == nil {
			t.Errorf("%s was made all the same", name)
		}
	}
	if left, err := filepath.Glob(filepath.Join(f.dir, ".cache", "deno", "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, error %v", left, err)
	}
}

func TestSetupSaysWhyNpmFailed(t *testing.T) {
	f := newFresh(t)
	f.program("npm", "exit 1")
	printed, _, err := f.setup(nil, "headless")
	if err == nil || !strings.Contains(printed, "network") {
		t.Errorf("npm failed: error %v, printed %q", err, printed)
	}
}

func TestSetupFetchesServers(t *testing.T) {
	f := newFresh(t)
	f.program("dpkg-query", `printf "install ok installed"`)
	f.program("npm", "exit 1")
	kept := filepath.Join(f.dir, ".cache")
	if printed, _, err := f.setup(nil, "test"); err == nil || !strings.Contains(printed, "network") {
		t.Errorf("npm failed: error %v, printed %q", err, printed)
	}
	if left, err := os.ReadDir(kept); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, error %v", left, err)
	}
	f.program("npm", `mkdir node_modules && echo "$PWD" >node_modules/there`)
	if printed, calls, err := f.setup(nil, "test"); err != nil || !strings.HasPrefix(called(calls, "npm"), "npm ci ") {
		t.Fatalf("error %v, calls %q\n%s", err, calls, printed)
	}
	if _, err := os.Stat(filepath.Join(kept, "servers", "node_modules", "there")); err != nil {
		t.Error(err)
	}
	f.program("npm", "exit 1")
	if printed, _, err := f.setup(nil, "test"); err != nil || printed != "" {
		t.Errorf("the second time is not quiet: error %v, printed %q", err, printed)
	}
	f.write(servers+"/package-lock.json", "{}", 0o644)
	if _, _, err := f.setup(nil, "test"); err == nil {
		t.Error("another lock file changes nothing")
	}
}

// Every package that set-up fetches is pinned by hash, and by no address: each machine has its own registry.
func TestServersAreLocked(t *testing.T) {
	var lock struct {
		Packages map[string]map[string]any `json:"packages"`
	}
	if err := json.Unmarshal(read(t, filepath.Join("..", servers, "package-lock.json")), &lock); err != nil {
		t.Fatal(err)
	}
	for name, p := range lock.Packages {
		if hash, _ := p["integrity"].(string); name != "" && !strings.HasPrefix(hash, "sha512-") {
			t.Errorf("%s has no hash", name)
		}
		if p["resolved"] != nil || p["hasInstallScript"] != nil {
			t.Errorf("%s names an address or wants to run a program", name)
		}
	}
	for name, version := range lock.Packages[""]["dependencies"].(map[string]any) {
		if text, ok := version.(string); !ok || strings.Trim(text, "0123456789.") != "" {
			t.Errorf("%s is asked for as %v, which is no version", name, version)
		}
	}
}
