package bundle

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/mod/semver"
)

// bound is one comparison of a range.
type bound struct {
	op      string // >=, >, <, <=, =
	version string // with the v that package semver wants
}

// parseRange reads bounds separated by commas.
func parseRange(text string) ([]bound, error) {
	var bounds []bound
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		rest := strings.TrimLeft(part, "<>=")
		b := bound{op: part[:len(part)-len(rest)], version: "v" + strings.TrimSpace(rest)}
		if !slices.Contains([]string{">=", ">", "<", "<=", "="}, b.op) || !semver.IsValid(b.version) {
			return nil, fmt.Errorf("%q is not a bound like >=0.1", part)
		}
		bounds = append(bounds, b)
	}
	return bounds, nil
}

func (b bound) holds(version string) bool {
	c := semver.Compare(version, b.version)
	switch b.op {
	case ">=":
		return c >= 0
	case ">":
		return c > 0
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	}
	return c == 0
}

// platformNames are the manifest's words for Go's operating systems.
var platformNames = map[string]string{"linux": "linux", "windows": "windows", "darwin": "macos"}

// checkCompat refuses an app that says not to run here. paddock is this program's version; empty means
// unknown, and then every range holds.
func checkCompat(c *Compat, paddock string) error {
	return checkCompatOn(c, paddock, platformNames[runtime.GOOS], runtime.GOARCH)
}

func checkCompatOn(c *Compat, paddock, platform, arch string) error {
	if c == nil {
		return nil
	}
	if len(c.Platforms) > 0 && !slices.Contains(c.Platforms, platform) {
		return refuse(RuleCompatible, "", "the app is made for %s, and this is %s", strings.Join(c.Platforms, ", "), platform)
	}
	if len(c.Arch) > 0 && !slices.Contains(c.Arch, arch) {
		return refuse(RuleCompatible, "", "the app is made for %s processors, and this is %s", strings.Join(c.Arch, ", "), arch)
	}
	if c.Paddock == "" || paddock == "" {
		return nil
	}
	bounds, err := parseRange(c.Paddock)
	if err != nil {
		return refuse(RuleCompatible, "", "the range of Paddock versions %q cannot be read", printable(c.Paddock, maxGot))
	}
	for _, b := range bounds {
		if !b.holds("v" + strings.TrimPrefix(paddock, "v")) {
			return refuse(RuleCompatible, "", "the app needs Paddock %s, and this is %s", c.Paddock, paddock).
				hint("Update Paddock, or ask the publisher for a version that fits.")
		}
	}
	return nil
}
