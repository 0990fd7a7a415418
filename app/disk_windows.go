package app

import (
	"path/filepath"
	"strings"
)

// sameDisk reports whether two folders lie on one file system, as far as their names tell.
func sameDisk(a, b string) bool {
	return strings.EqualFold(filepath.VolumeName(a), filepath.VolumeName(b))
}
