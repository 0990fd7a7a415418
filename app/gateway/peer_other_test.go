//go:build !linux

package gateway

func runAsStranger() bool { return false }
