package wall

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pinned is an execve whose three pointers lie at random addresses that only this process image knows. A filter that
// allows execve with exactly these pointers allows it once: the new image does not have them.
type pinned struct{ path, argv, envp uintptr }

func pinExec(e Exec) (pinned, error) {
	path, text, err := randomMapping(len(e.Path) + 1)
	if err != nil {
		return pinned{}, err
	}
	copy(text, e.Path)
	argv, err := pinStrings(e.Args)
	if err != nil {
		return pinned{}, err
	}
	envp, err := pinStrings(e.Env)
	if err != nil {
		return pinned{}, err
	}
	return pinned{path: path, argv: argv, envp: envp}, nil
}

// call becomes the program. It returns only on failure.
func (p pinned) call() error {
	_, _, errno := unix.RawSyscall(unix.SYS_EXECVE, p.path, p.argv, p.envp)
	return errno
}

// pinStrings lays out a NULL-terminated array of C strings followed by their text.
func pinStrings(list []string) (uintptr, error) {
	const word = int(unsafe.Sizeof(uintptr(0)))
	size := word * (len(list) + 1)
	for _, s := range list {
		size += len(s) + 1
	}
	base, b, err := randomMapping(size)
	if err != nil {
		return 0, err
	}
	at := word * (len(list) + 1)
	for i, s := range list {
		binary.NativeEndian.PutUint64(b[word*i:], uint64(base)+uint64(at))
		at += copy(b[at:], s) + 1
	}
	return base, nil
}

// randomMapping is fresh zeroed memory of n bytes that starts somewhere in the middle of the address space: 31 random
// bits of page and 9 within the page.
func randomMapping(n int) (uintptr, []byte, error) {
	for range 64 {
		var r [8]byte
		if _, err := unix.Getrandom(r[:], 0); err != nil { // 8 bytes come whole (getrandom(2))
			return 0, nil, fmt.Errorf("random address: %w", err)
		}
		bits := binary.NativeEndian.Uint64(r[:])
		hint := uintptr(bits)&0x3fff_ffff_f000 | 0x1000_0000_0000
		skew := uintptr(bits>>48) & 0xff8
		base, _, errno := unix.RawSyscall6(unix.SYS_MMAP, hint, uintptr(n)+0x1000, unix.PROT_READ|unix.PROT_WRITE,
			unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_FIXED_NOREPLACE, ^uintptr(0), 0)
		if errno == 0 {
			// the kernel gave this address: it is no Go pointer, so vet's rule about uintptr does not apply
			start := *(*unsafe.Pointer)(unsafe.Pointer(&base))
			return base + skew, unsafe.Slice((*byte)(unsafe.Add(start, skew)), n), nil
		}
	}
	return 0, nil, errors.New("no room for the program's arguments at a random address")
}
