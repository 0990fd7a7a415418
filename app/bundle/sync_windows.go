package bundle

// syncFolder does nothing: Windows has no way to bring a folder to disk, and NTFS journals its names.
func syncFolder(string) error { return nil }
