package gateway

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// peers looks up which user opened a connection to the front door (security.md, rule 20). It asks the kernel for
// exactly one socket through sock_diag (sock_diag(7)), about 5 µs; where that is refused it reads /proc/net/tcp.
type peers struct {
	uid    int
	mu     sync.Mutex // one question at a time
	socket int        // netlink; -1 where only the table can be read
	asked  uint32     // number of the last question
	buffer [512]byte
}

var errNoSuchSocket = errors.New("its socket is not there any more")

// newPeers tries the look-up on a connection of its own.
func newPeers() (*peers, error) {
	p := &peers{uid: os.Geteuid(), socket: -1}
	got, release, err := ownConnection()
	if err != nil {
		return nil, fmt.Errorf("try the peer look-up: %w", err)
	}
	defer release()

	if socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG); err == nil {
		p.socket = socket
		// The kernel answers before send returns; the timeout is for a kernel that does not.
		_ = unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1})
		if err := p.check(got); err == nil {
			return p, nil
		}
		_ = unix.Close(socket)
		p.socket = -1
	}
	if err := p.check(got); err != nil {
		return nil, fmt.Errorf("neither sock_diag nor /proc/net/tcp tells who opened a connection: %w", err)
	}
	return p, nil
}

// ownConnection returns the accepting end of a connection from this process to itself.
func ownConnection() (got net.Conn, release func(), err error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	own, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		return nil, nil, err
	}
	for {
		got, err := l.Accept()
		if err != nil {
			_ = own.Close()
			return nil, nil, err
		}
		if got.RemoteAddr().String() == own.LocalAddr().String() {
			return got, func() { _ = own.Close(); _ = got.Close() }, nil
		}
		_ = got.Close() // somebody else was first
	}
}

func (p *peers) close() {
	if p != nil && p.socket >= 0 {
		_ = unix.Close(p.socket)
	}
}

// check refuses a connection that was opened by another user, or whose owner is not known.
func (p *peers) check(c net.Conn) error {
	local, ok := addrPort(c.LocalAddr())
	if !ok {
		return errors.New("it has no TCP address")
	}
	remote, ok := addrPort(c.RemoteAddr())
	if !ok {
		return errors.New("it has no TCP address")
	}
	uid, err := p.owner(remote, local)
	if err != nil {
		return fmt.Errorf("its owner is not known: %w", err)
	}
	if uid != p.uid {
		return fmt.Errorf("it belongs to user %d of this machine", uid)
	}
	return nil
}

func addrPort(a net.Addr) (netip.AddrPort, bool) {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}, false
	}
	at := tcp.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port()), true
}

// owner returns the user whose socket is bound to from and connected to to.
func (p *peers) owner(from, to netip.AddrPort) (uid int, err error) {
	if p.socket >= 0 {
		return p.ask(from, to)
	}
	err = errNoSuchSocket
	tableErr := socketTable(func(row socketRow) bool {
		if row.local != from || row.remote != to || row.inode == 0 {
			return true
		}
		uid, err = row.uid, nil
		return false
	})
	if tableErr != nil {
		return 0, tableErr
	}
	return uid, err
}

// Sizes and offsets of the messages in <linux/netlink.h> and <linux/inet_diag.h>.
const (
	headerSize   = 16                        // struct nlmsghdr
	requestSize  = headerSize + 8 + 48       // + struct inet_diag_req_v2
	answerUID    = headerSize + 4 + 48 + 3*4 // idiag_uid of struct inet_diag_msg
	answerInode  = answerUID + 4             // idiag_inode
	answerSize   = answerInode + 4           //
	allTCPStates = 0xffffffff                //
	noCookie     = 0xffffffff_ffffffff       // INET_DIAG_NOCOOKIE, twice 32 bits
)

func (p *peers) ask(from, to netip.AddrPort) (uid int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.buffer[:requestSize]
	clear(m)
	native := binary.NativeEndian
	native.PutUint32(m[0:], requestSize)
	native.PutUint16(m[4:], unix.SOCK_DIAG_BY_FAMILY)
	native.PutUint16(m[6:], unix.NLM_F_REQUEST)
	p.asked++
	native.PutUint32(m[8:], p.asked)
	req := m[headerSize:]
	req[0], req[1] = unix.AF_INET, unix.IPPROTO_TCP
	if from.Addr().Is6() {
		req[0] = unix.AF_INET6
	}
	native.PutUint32(req[4:], allTCPStates)
	id := req[8:]
	binary.BigEndian.PutUint16(id[0:], from.Port())
	binary.BigEndian.PutUint16(id[2:], to.Port())
	copy(id[4:20], from.Addr().AsSlice())
	copy(id[20:36], to.Addr().AsSlice())
	native.PutUint64(id[40:], noCookie)
	if err := unix.Sendto(p.socket, m, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, fmt.Errorf("ask sock_diag: %w", err)
	}
	n := 0
	for {
		if n, _, err = unix.Recvfrom(p.socket, p.buffer[:], 0); err != nil {
			return 0, fmt.Errorf("read sock_diag: %w", err)
		}
		if n >= headerSize+4 && native.Uint32(p.buffer[8:]) == p.asked {
			break // and not the late answer to an earlier question
		}
	}
	answer := p.buffer[:n]
	if native.Uint16(answer[4:]) == unix.NLMSG_ERROR {
		return 0, errNoSuchSocket
	}
	if n < answerSize || native.Uint16(answer[4:]) != unix.SOCK_DIAG_BY_FAMILY {
		return 0, errors.New("sock_diag gave an answer of another form")
	}
	if native.Uint32(answer[answerInode:]) == 0 { // closed by its process; the kernel then says user 0
		return 0, errNoSuchSocket
	}
	return int(native.Uint32(answer[answerUID:])), nil
}
