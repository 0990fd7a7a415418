package wall

import (
	"fmt"
	"unsafe"

	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// prepareFilter assembles the filter for this machine, so that loading it is one system call.
func prepareFilter(s Seccomp, p pin) ([]unix.SockFilter, error) {
	on, err := arch.GetInfo("")
	if err != nil {
		return nil, fmt.Errorf("system call table: %w", err)
	}
	if on.ID != arch.X86_64.ID && on.ID != arch.AARCH64.ID {
		return nil, fmt.Errorf("no system call wall for the architecture %s yet", on.Name)
	}
	program, err := assemble(refusals(s, p), on)
	if err != nil {
		return nil, err
	}
	raw, err := bpf.Assemble(program)
	if err != nil {
		return nil, fmt.Errorf("assemble: %w", err)
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return filter, nil
}

// loadFilter puts the calling thread behind the filter. no_new_privs must be set.
func loadFilter(filter []unix.SockFilter) error {
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return fmt.Errorf("load the filter: %w", errno)
	}
	return nil
}
