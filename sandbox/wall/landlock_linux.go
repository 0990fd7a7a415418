package wall

import (
	"errors"
	"fmt"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// LandlockABI asks the kernel for its Landlock version; 0 when there is none or it is switched off.
func LandlockABI() int {
	abi, err := ll.LandlockGetABIVersion()
	if err != nil || abi < 0 {
		return 0
	}
	return abi
}

// restrictFiles puts the calling thread behind the rules and returns the ABI in force. It must be the thread that
// calls execve: the other threads end there, so restricting them too would only cost time.
func restrictFiles(l *Landlock) (abi int, err error) {
	abi = LandlockABI()
	if abi == 0 {
		return 0, errors.New("this kernel has no Landlock, or it is switched off")
	}
	attr := handled(abi)
	set, err := ll.LandlockCreateRuleset(&attr, 0)
	if err != nil {
		return 0, fmt.Errorf("create ruleset for ABI %d: %w", abi, err)
	}
	defer func() { _ = unix.Close(set) }()
	for _, r := range l.Rules {
		if err := addRule(set, r, abi); err != nil {
			return 0, err
		}
	}
	if err := ll.LandlockRestrictSelf(set, 0); err != nil {
		return 0, fmt.Errorf("restrict: %w", err)
	}
	return abi, nil
}

func addRule(set int, r Rule, abi int) error {
	fd, err := unix.Open(r.Path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		if r.Optional && (errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR)) {
			return nil
		}
		return fmt.Errorf("open %s for the file wall: %w", r.Path, err)
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("look at %s for the file wall: %w", r.Path, err)
	}
	allowed := rights(r.Role, abi, st.Mode&unix.S_IFMT == unix.S_IFDIR)
	if allowed == 0 {
		return nil
	}
	err = ll.LandlockAddPathBeneathRule(set, &ll.PathBeneathAttr{AllowedAccess: allowed, ParentFd: fd}, 0)
	if err != nil {
		return fmt.Errorf("allow %s as %s: %w", r.Path, r.Role, err)
	}
	return nil
}
