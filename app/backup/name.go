package backup

import (
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"unicode/utf8"
)

// badName says why name, with slashes, cannot be that of a file or folder below the data folder; "" means that it can.
func badName(name string) string {
	switch {
	case name == "" || name == ".":
		return "its name is empty"
	case len(name) > maxName:
		return "its name with all its folders is longer than 4096 bytes"
	case !utf8.ValidString(name):
		return "its name is not valid text (UTF-8)"
	case strings.ContainsRune(name, 0):
		return "its name has a NUL character"
	case name[0] == '/':
		return "its name is an absolute path"
	case path.Clean(name) != name || !filepath.IsLocal(filepath.FromSlash(name)):
		return "its name leads elsewhere"
	case runtime.GOOS == "windows" && strings.ContainsAny(name, `\:`):
		return "its name has a backslash or colon, which lead elsewhere on this system"
	}
	parts := strings.Split(name, "/")
	if len(parts) > maxDepth {
		return "it lies more than 200 folders deep"
	}
	for _, part := range parts {
		if len(part) > maxPart {
			return "a part of its name is longer than 255 bytes"
		}
	}
	return ""
}
