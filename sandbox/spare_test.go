package sandbox

import (
	"os"
	"path/filepath"
	"testing"
)

// spareForTest is a supervisor without a process, and a spec with its places.
func spareForTest(t *testing.T) (*Supervisor, Spec, Paths) {
	t.Helper()
	dir := t.TempDir()
	s := &Supervisor{options: Options{SocketDir: filepath.Join(dir, "i"), EntryDir: filepath.Join(dir, "entry")}}
	if err := ownFolder(s.options.SocketDir); err != nil {
		t.Fatal(err)
	}
	spec := Spec{ID: "app", DataDir: filepath.Join(dir, "data"), RuntimeDir: filepath.Join(dir, "runtime"), LogDir: filepath.Join(dir, "log")}
	paths, err := PathsOf(s.options, spec, false)
	if err != nil {
		t.Fatal(err)
	}
	return s, spec, paths
}

func TestSpareBecomesTheInstancesFolder(t *testing.T) {
	s, spec, paths := spareForTest(t)
	s.refillSpare()
	spare := s.takeSpare()
	want, err := os.Stat(spare)
	if err != nil {
		t.Fatal(err)
	}
	if again := s.takeSpare(); again != "" {
		t.Errorf("%s is given away twice", again)
	}
	if err := os.Mkdir(paths.Dir, 0o755); err != nil { // of an instance whose agent was killed
		t.Fatal(err)
	}
	if err := spec.makeFolders(paths, spare); err != nil {
		t.Fatal(err)
	}
	if got, err := os.Stat(paths.Dir); err != nil || !os.SameFile(got, want) {
		t.Errorf("the instance's folder is not the spare one: %v", err)
	}
	if left, err := os.ReadDir(sparesOf(s.options.SocketDir)); err != nil || len(left) > 0 {
		t.Errorf("left beside the socket folder: %v, %v", left, err)
	}
}

// Whatever happened to a spare folder, the instance gets one of its own that nobody else may enter, with nothing in it.
func TestFoldersWithoutASpare(t *testing.T) {
	s, spec, paths := spareForTest(t)
	gone := filepath.Join(s.options.SocketDir, "gone")
	s.refillSpare()
	opened := s.takeSpare()
	if err := os.Chmod(opened, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(opened, socketsName)); err != nil {
		t.Fatal(err)
	}
	for name, spare := range map[string]string{"none": "", "one that is gone": gone, "one that was opened": opened} {
		if err := spec.makeFolders(paths, spare); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, dir := range []string{paths.Dir, paths.Sockets} {
			if info, err := os.Stat(dir); err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
				t.Errorf("%s: %s: %v, %v", name, dir, info, err)
			}
		}
		if inside, err := os.ReadDir(paths.Sockets); err != nil || len(inside) > 0 {
			t.Errorf("%s: in the folder of sockets: %v, %v", name, inside, err)
		}
	}
}

func TestSparesAreRemoved(t *testing.T) {
	s, _, _ := spareForTest(t)
	s.refillSpare()
	removeSpares(s.options.SocketDir)
	if _, err := os.Stat(sparesOf(s.options.SocketDir)); !os.IsNotExist(err) {
		t.Errorf("they are there still: %v", err)
	}
	s.closed = true
	_ = s.takeSpare()
	s.refillSpare()
	if spare := s.takeSpare(); spare != "" {
		t.Errorf("a closed supervisor made %s", spare)
	}
}
