package gateway

import "golang.org/x/sys/unix"

// unpaced has what a listening socket accepts send as fast as the browser takes it. Where the machine's congestion control
// is BBR, every 64 KB of an answer would wait for a timer that spaces packets for a network, and there is none: over
// loopback that took a third of the rate of downloads. Reno does not pace, is in every kernel (tcp_cong.c) and open to
// every user. Without it everything works as well, more slowly.
func unpaced(fd uintptr) {
	_ = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno")
}
