//go:build !linux

package main

import (
	"fmt"
	"os"
	"runtime"
)

func main() {
	fmt.Fprintln(os.Stderr, "paddock-launch is needed and works on Linux only, not on", runtime.GOOS)
	os.Exit(126)
}
