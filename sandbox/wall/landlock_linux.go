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
func restrictFiles(places []place) (abi int, err error) {
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
	for _, p := range places {
		if err := addRule(set, p, abi); err != nil {
			return 0, err
		}
	}
	if err := ll.LandlockRestrictSelf(set, 0); err != nil {
		return 0, fmt.Errorf("restrict: %w", err)
	}
	return abi, nil
}

func addRule(set int, p place, abi int) error {
	allowed := rights(p.rule.Role, abi, p.folder)
	if allowed == 0 {
		return nil
	}
	err := ll.LandlockAddPathBeneathRule(set, &ll.PathBeneathAttr{AllowedAccess: allowed, ParentFd: p.fd}, 0)
	if err != nil {
		return fmt.Errorf("allow %s as %s: %w", p.rule.Path, p.rule.Role, err)
	}
	return nil
}
