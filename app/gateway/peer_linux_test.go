package gateway

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// strangerAddr makes this test binary a program of another user that tries to get in.
const strangerAddr = "PADDOCK_TEST_STRANGER"

func runAsStranger() bool {
	addr := os.Getenv(strangerAddr)
	if addr == "" {
		return false
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		fmt.Println("dial:", err)
		return true
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+os.Getenv(strangerAddr+"_HOST")+"\r\nConnection: close\r\n\r\n")
	got, _ := io.ReadAll(c)
	fmt.Printf("uid %d read %d bytes\n", os.Getuid(), len(got))
	return true
}

// TestStranger connects as another user of the machine. Only root can become another user; as anybody else the
// test shows that the owner of a connection is looked up and compared.
func TestStranger(t *testing.T) {
	r := newRig(t, serveApp(t, hello("app")))
	if checked, why := r.g.PeerCheck(); !checked {
		t.Fatal(why)
	}
	if os.Geteuid() != 0 {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		p, err := newPeers()
		if err != nil {
			t.Fatal(err)
		}
		defer p.close()
		p.uid++
		got, release, err := ownConnection()
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		if p.check(got) == nil {
			t.Error("a connection of another user passed")
		}
		return
	}
	binary, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	dir := shortDir(t)
	copied := dir + "/stranger"
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(copied, binary, 0o755)); err != nil { //nolint:gosec // another user runs it
		t.Fatal(err)
	}
	addresses := []string{r.g.Addr()}
	if held, _ := r.g.IPv6(); held {
		addresses = append(addresses, "[::1]:"+r.g.port)
	}
	for _, addr := range addresses {
		for _, uid := range []uint32{1500, 0} {
			cmd := exec.Command(copied)
			cmd.Env = []string{strangerAddr + "=" + addr, strangerAddr + "_HOST=" + r.host}
			cmd.Dir = dir
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			refused := strings.Contains(string(out), " read 0 bytes")
			if refused != (uid != 0) {
				t.Errorf("%s as %d: %s", addr, uid, out)
			}
		}
	}
	if !strings.Contains(r.log.String(), "belongs to user 1500") {
		t.Errorf("not logged: %s", r.log)
	}
}

// TestPeerTable checks the slow way of looking up an owner, and both ways for a client that is gone.
func TestPeerTable(t *testing.T) {
	for _, way := range []string{"sock_diag", "table"} {
		t.Run(way, func(t *testing.T) {
			p, err := newPeers()
			if err != nil {
				t.Fatal(err)
			}
			defer p.close()
			if way == "table" {
				p.close()
				p.socket = -1
			} else if p.socket < 0 {
				t.Fatal("this kernel gives no sock_diag")
			}
			for _, listen := range []string{"127.0.0.1:0", "[::1]:0"} {
				l, err := net.Listen("tcp", listen)
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				client, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				got, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				defer got.Close()
				if err := p.check(got); err != nil {
					t.Errorf("own connection: %v", err)
				}
				_ = client.Close()
				// A socket without a process shows as user 0, so it must not count as anybody's.
				if err := p.check(got); err == nil {
					t.Error("a connection whose client is gone passed")
				}
			}
		})
	}
}

func TestParseRow(t *testing.T) {
	row, ok := parseRow("   1: 0100007F:1F90 0200007F:CFA2 01 00000000:00000000 00:00000000 00000000  1000        0 41749 1 0000000000000000 20 4 30 10 -1")
	if !ok || row.local.String() != "127.0.0.1:8080" || row.remote.String() != "127.0.0.2:53154" || row.uid != 1000 || row.inode != 41749 || row.listening {
		t.Errorf("%+v %v", row, ok)
	}
	row, ok = parseRow("   0: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 7 1")
	if !ok || row.local.String() != "[::1]:22" || !row.listening {
		t.Errorf("%+v %v", row, ok)
	}
	row, ok = parseRow("   0: 0000000000000000FFFF00000100007F:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 7 1")
	if !ok || row.local.String() != "127.0.0.1:22" {
		t.Errorf("mapped address: %+v %v", row, ok)
	}
	for _, bad := range []string{"", "sl local", "1: x:1 y:2 01 0 0 0 0 0 0", "1: 0100007F 0200007F:1 01 0:0 0:0 0 1 0 1", "1: 0100007F:1F90 0200007F:1 01 0:0 0:0 0 -- 0 1", "1: 0100007F:FFFFF 0200007F:1 01 0:0 0:0 0 1 0 1"} {
		if _, ok := parseRow(bad); ok {
			t.Errorf("%q taken", bad)
		}
	}
}

func TestHolder(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	want := fmt.Sprintf("process %d,", os.Getpid())
	if got := holderOf(uint16(port)); !strings.Contains(got, want) { //nolint:gosec // a port
		t.Errorf("holder %q, want %q in it", got, want)
	}
	if got := holderOf(1); got != "" {
		t.Errorf("holder of a free port: %q", got)
	}
}

func BenchmarkPeerCheck(b *testing.B) {
	p, err := newPeers()
	if err != nil {
		b.Fatal(err)
	}
	defer p.close()
	got, release, err := ownConnection()
	if err != nil {
		b.Fatal(err)
	}
	defer release()
	for b.Loop() {
		if err := p.check(got); err != nil {
			b.Fatal(err)
		}
	}
}
