package permission

import (
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CheckSlotPath refuses a path that must not be given to an app (security.md 6 and 13). path is what the user picked,
// with links already resolved; forbidden are absolute folders that no slot may be, contain or lie inside. The error is
// a *[ScopeError]. Nothing on disk is looked at.
//
// Commas are refused because Deno splits path lists at commas and has no escape: --allow-read=/a/x,/etc grants /etc.
func CheckSlotPath(path string, forbidden []string) error {
	switch {
	case path == "":
		return refuse(path, "no file or folder was chosen", "Choose one.")
	case !utf8.ValidString(path):
		return refuse(path, "its name is not valid text (UTF-8)", "Rename it, then choose it again.")
	case strings.ContainsFunc(path, unicode.IsControl):
		return refuse(path, "its name holds a control character", "Rename it, then choose it again.")
	case strings.Contains(path, ","):
		return refuse(path, "its name holds a comma, which the app's runtime would read as two paths",
			"Rename it, or choose one without a comma.")
	case !filepath.IsAbs(path):
		return refuse(path, "it is not an absolute path", "Give the full path, starting at the root.")
	}
	path = filepath.Clean(path)
	for _, folder := range forbidden {
		switch {
		case within(path, folder):
			return refuse(path, "it lies in "+folder+", which no app may reach", "Choose another folder.")
		case within(folder, path):
			return refuse(path, "it contains "+folder+", which no app may reach", "Choose a folder further down.")
		}
	}
	return nil
}

// within reports whether path is folder or lies inside it. Both are absolute.
func within(path, folder string) bool {
	path, folder = foldPath(filepath.Clean(path)), foldPath(filepath.Clean(folder))
	if path == folder {
		return true
	}
	if !strings.HasSuffix(folder, string(filepath.Separator)) {
		folder += string(filepath.Separator)
	}
	return strings.HasPrefix(path, folder)
}

// foldPath makes paths comparable where file systems usually ignore case.
func foldPath(path string) string {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		return strings.ToLower(path)
	}
	return path
}

// systemFolders belong to the system on Unix; what they hold is not the user's own work.
var systemFolders = []string{"/bin", "/boot", "/dev", "/etc", "/lib", "/opt", "/proc", "/root", "/sbin", "/sys", "/usr", "/var"}

// codeFolders are names under which people usually keep programs that they run or build.
var codeFolders = []string{".git", "bin", "code", "git", "go", "node_modules", "projects", "repos", "repositories", "source", "src", "workspace"}

// RiskOfPath is how a picked path is shown, and for a high risk the reason as a sentence. home is the user's home
// folder. Both are absolute. Only the text of the path is judged: a caller that can look inside should treat a folder
// that holds a repository like one with such a name.
func RiskOfPath(path, home string, access Access) (Risk, string) {
	path = filepath.Clean(path)
	switch {
	case home != "" && within(home, path):
		return High, "This includes your whole home folder: documents, pictures, passwords and settings."
	case path == filepath.VolumeName(path)+string(filepath.Separator):
		return High, "This is the whole disk."
	}
	if home != "" && within(path, home) {
		below, err := filepath.Rel(home, path)
		if err == nil && strings.HasPrefix(below, ".") {
			return High, "Hidden folders hold settings and keys of other programs."
		}
	} else if slices.ContainsFunc(systemFolders, func(folder string) bool { return within(path, folder) }) {
		return High, "This belongs to the system, not to you."
	}
	if access == ReadWrite && slices.ContainsFunc(strings.Split(path, string(filepath.Separator)), isCodeFolder) {
		return High, "A folder like this often holds programs: an app that can change them can do what they can do."
	}
	return Normal, ""
}

func isCodeFolder(part string) bool {
	part = strings.ToLower(part)
	return slices.Contains(codeFolders, part) || strings.HasSuffix(part, ".git")
}
