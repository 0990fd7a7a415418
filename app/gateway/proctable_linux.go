package gateway

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// socketRow is one line of /proc/net/tcp or tcp6 (kernel Documentation/networking/proc_net_tcp.rst).
type socketRow struct {
	local, remote netip.AddrPort
	listening     bool
	uid           int
	inode         uint64 // 0 for a socket that no process has open any more
}

// socketTable calls fn for each TCP socket of this network namespace until fn returns false.
func socketTable(fn func(socketRow) bool) error {
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		more, err := readTable(table, fn)
		if os.IsNotExist(err) && table == "/proc/net/tcp6" {
			return nil
		}
		if err != nil || !more {
			return err
		}
	}
	return nil
}

func readTable(path string, fn func(socketRow) bool) (more bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return false, fmt.Errorf("read socket table: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Scan() // headings
	for lines.Scan() {
		if row, ok := parseRow(lines.Text()); ok && !fn(row) {
			return false, nil
		}
	}
	if err := lines.Err(); err != nil {
		return false, fmt.Errorf("read socket table: %w", err)
	}
	return true, nil
}

// parseRow reads "sl local rem st tx:rx tr:when retrnsmt uid timeout inode …".
func parseRow(text string) (socketRow, bool) {
	fields := strings.Fields(text)
	if len(fields) < 10 {
		return socketRow{}, false
	}
	local, ok := parseEndpoint(fields[1])
	if !ok {
		return socketRow{}, false
	}
	remote, ok := parseEndpoint(fields[2])
	if !ok {
		return socketRow{}, false
	}
	uid, err := strconv.Atoi(fields[7])
	if err != nil {
		return socketRow{}, false
	}
	inode, err := strconv.ParseUint(fields[9], 10, 64)
	if err != nil {
		return socketRow{}, false
	}
	return socketRow{local: local, remote: remote, listening: fields[3] == "0A", uid: uid, inode: inode}, true
}

// parseEndpoint reads "0100007F:1F90". The kernel prints each 32-bit word of the address as a number of this
// machine's byte order.
func parseEndpoint(text string) (netip.AddrPort, bool) {
	address, port, ok := strings.Cut(text, ":")
	if !ok {
		return netip.AddrPort{}, false
	}
	raw, err := hex.DecodeString(address)
	if err != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	addr, ok := netip.AddrFromSlice(raw)
	if !ok {
		return netip.AddrPort{}, false
	}
	number, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(number)), true
}

// ephemeralStart returns the lowest port that the kernel gives to outgoing connections.
func ephemeralStart() int {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err == nil {
		if fields := strings.Fields(string(text)); len(fields) == 2 {
			if low, err := strconv.Atoi(fields[0]); err == nil {
				return low
			}
		}
	}
	return 32768 // the kernel's default
}

// holderOf names the program that listens on a loopback port, as far as this user may know.
func holderOf(port uint16) string {
	var holder *socketRow
	_ = socketTable(func(row socketRow) bool {
		if row.listening && row.local.Port() == port {
			holder = &row
			return false
		}
		return true
	})
	if holder == nil {
		return ""
	}
	owner := "user " + strconv.Itoa(holder.uid)
	if u, err := user.LookupId(strconv.Itoa(holder.uid)); err == nil {
		owner = "user " + u.Username
	}
	if name, pid := processWith(holder.inode); pid != "" {
		return fmt.Sprintf("%s (process %s, %s)", name, pid, owner)
	}
	return "a program of " + owner
}

// processWith finds the process that has a socket open, among those that this user may look into.
func processWith(inode uint64) (name, pid string) {
	want := "socket:[" + strconv.FormatUint(inode, 10) + "]"
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && target == want {
			pid = strings.Split(link, "/")[2]
			comm, _ := os.ReadFile(filepath.Join("/proc", pid, "comm"))
			return strings.TrimSpace(string(comm)), pid
		}
	}
	return "", ""
}
