//go:build !unix

package sandbox

import "errors"

// openAudit says that this system has no pipes with a name that Deno could open as a file.
func openAudit(string) (*auditPipe, error) {
	return nil, errors.ErrUnsupported
}
