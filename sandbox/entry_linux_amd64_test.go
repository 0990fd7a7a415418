package sandbox

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"paddock/sandbox/wall"
)

// programForTest writes a program that is nothing but the code: an ELF header, one segment, no libraries.
func programForTest(t *testing.T, path string, code ...byte) {
	t.Helper()
	const base, headers = 0x400000, 64 + 56
	type header struct {
		Ident                                              [16]byte
		Type, Machine                                      uint16
		Version                                            uint32
		Entry, Programs, Sections                          uint64
		Flags                                              uint32
		Size, ProgramSize, ProgramCount, SectionSize, _, _ uint16
	}
	type segment struct {
		Type, Flags                                     uint32
		Offset, Address, Physical, InFile, InMem, Align uint64
	}
	size := uint64(headers + len(code))
	var file bytes.Buffer
	for _, part := range []any{
		header{
			Ident: [16]byte{0x7f, 'E', 'L', 'F', 2, 1, 1}, Type: 2, Machine: 62, Version: 1, Entry: base + headers, Programs: 64,
			Size: 64, ProgramSize: 56, ProgramCount: 1, SectionSize: 64,
		},
		segment{Type: 1, Flags: 5, Address: base, Physical: base, InFile: size, InMem: size, Align: 0x1000},
		code,
	} {
		if err := binary.Write(&file, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, file.Bytes(), 0o755); err != nil {
		t.Fatal(err)
	}
}

// The 32-bit entry has other call numbers: it is no way around the filter. The x32 calls, which hardly any kernel has, are
// tried with the filter alone, in package wall.
func TestOtherEntry(t *testing.T) {
	exit := []byte{0xbf, 7, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05} // exit(7)
	i386 := append([]byte{0xb8, 20, 0, 0, 0, 0xcd, 0x80}, exit...)  // getpid by int 0x80
	o := optionsForTest(t)
	sup := supervisorForTest(t)
	run := func(walled bool, code []byte) string {
		dir, err := filepath.EvalSymlinks(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		program := filepath.Join(dir, "program")
		programForTest(t, program, code...)
		plan := wall.Plan{Parent: os.Getpid(), Exec: wall.Exec{Path: program, Args: []string{"program"}, Dir: dir}}
		if walled {
			plan.Landlock = &wall.Landlock{Rules: []wall.Rule{{Path: program, Role: wall.RunFile}, {Path: dir, Role: wall.ReadTree}}}
			plan.Seccomp, plan.View, plan.Require = &wall.Seccomp{}, &wall.View{}, wall.Full
		}
		var g *guest
		sup.onStarter(func() { g, err = spawn(o.Launcher, plan, os.Stderr, os.Stderr) })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.confirm(time.Minute); err != nil {
			t.Fatal(err)
		}
		status, signal := g.wait()
		return fmt.Sprint(status, " ", signal)
	}
	if got := run(true, exit); got != "7 " {
		t.Errorf("a program without libraries ends with %s behind the wall", got)
	}
	if got := run(false, i386); got != "7 " {
		t.Skipf("this kernel has no 32-bit entry: the program ends with %s without a wall", got)
	}
	if got := run(true, i386); got != "-1 SIGSYS" {
		t.Errorf("a program that comes in by the 32-bit entry ends with %s", got)
	}
}
