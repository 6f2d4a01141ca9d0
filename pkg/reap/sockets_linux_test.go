package reap

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"testing"
)

const inetHeading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

// inetLine is a line as the kernel of this machine prints it.
func inetLine(local netip.AddrPort, state byte, inode uint64) string {
	var host strings.Builder
	for raw := local.Addr().AsSlice(); len(raw) > 0; raw = raw[4:] {
		fmt.Fprintf(&host, "%08X", binary.NativeEndian.Uint32(raw))
	}
	return fmt.Sprintf("%4d: %s:%04X 00000000:0000 %02X 00000000:00000000 00:00000000 00000000 %5d %8d %d 1 000000003803eb1f 100 0 0 10 0\n",
		0, &host, local.Port(), state, 0, 0, inode)
}

func TestReadTable(t *testing.T) {
	line := func(local string, state byte, inode uint64) string {
		return inetLine(netip.MustParseAddrPort(local), state, inode)
	}
	for _, c := range []struct {
		what, name, text string
		want             map[uint64]string
	}{
		{"nothing", "tcp", "", nil},
		{"a heading", "tcp", inetHeading, nil},
		{
			"tcp", "tcp", inetHeading + line("0.0.0.0:8080", stateListen, 7) + line("127.0.0.1:1", stateListen, 8),
			map[uint64]string{7: "tcp 0.0.0.0:8080", 8: "tcp 127.0.0.1:1"},
		},
		{
			"what asks to be accepted", "tcp", inetHeading + line("1.2.3.4:80", stateSynRecv, 0) + line("1.2.3.4:80", stateListen, 9),
			map[uint64]string{9: "tcp 1.2.3.4:80"},
		},
		{
			"connections, after which nothing listens", "tcp", inetHeading + line("1.2.3.4:80", stateListen, 9) + line("1.2.3.4:80", 1, 10) + line("1.2.3.4:80", stateListen, 11),
			map[uint64]string{9: "tcp 1.2.3.4:80"},
		},
		{
			"tcp6", "tcp6", inetHeading + line("[::]:80", stateListen, 7) + line("[2001:db8::1]:443", stateListen, 8) + line("[::ffff:1.2.3.4]:1", stateListen, 9),
			map[uint64]string{7: "tcp [::]:80", 8: "tcp [2001:db8::1]:443", 9: "tcp [::ffff:1.2.3.4]:1"},
		},
		{
			"udp", "udp", inetHeading + line("127.0.0.1:40000", 1, 6) + line("127.0.0.1:53", stateClose, 7),
			map[uint64]string{7: "udp 127.0.0.1:53"},
		},
		{"udp6", "udp6", inetHeading + line("[::1]:53", stateClose, 7), map[uint64]string{7: "udp [::1]:53"}},
		{"a line that is none", "tcp", inetHeading + "what\n" + line("127.0.0.1:1", stateListen, 8), map[uint64]string{8: "tcp 127.0.0.1:1"}},
		{
			"unix", "unix", "Num       RefCount Protocol Flags    Type St Inode Path\n" +
				"00000000ef5ff690: 00000002 00000000 00010000 0001 01  1679 /run/a b.sock\n" +
				"0000000000000000: 00000002 00000000 00010000 0005 01 16790 @abstract @ \n" +
				"0000000000000000: 00000003 00000000 00000000 0001 03 16791 /run/connected\n" +
				"0000000000000000: 00000002 00000000 00010000 0001 01 16792\n" +
				"0000000000000000: 00000003 00000000 00000000 0002 01  1678\n",
			map[uint64]string{1679: "unix /run/a b.sock", 16790: "unix @abstract @ "},
		},
	} {
		if got := readTable(strings.NewReader(c.text), c.name); !maps.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.what, got, c.want)
		}
	}
}

// Of a machine with a million connections the first page is read.
func TestReadTableStopsEarly(t *testing.T) {
	var text strings.Builder
	text.WriteString(inetHeading)
	for inode := range uint64(100_000) {
		text.WriteString(inetLine(netip.MustParseAddrPort("10.0.0.1:80"), 1, inode+1))
	}
	rest := strings.NewReader(text.String())
	readTable(rest, "tcp")
	if n := text.Len() - rest.Len(); n > 1<<16 {
		t.Errorf("%d of %d bytes were read", n, text.Len())
	}
}

func TestLookUp(t *testing.T) {
	tables := []map[uint64]string{{1: "one"}, {2: "two"}}
	for path, want := range map[string]string{
		"socket:[1]": "one", "socket:[2]": "two", "socket:[3]": "", "socket:[]": "", "socket:[-1]": "", "pipe:[1]": "", "/socket:[1]": "",
	} {
		if got := lookUp(tables, path); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

// Whatever a table holds, the parsers end; what one accepts stands in the line as
// the kernel would have printed it.
func FuzzSocketTables(f *testing.F) {
	for _, seed := range []string{
		inetLine(netip.MustParseAddrPort("127.0.0.1:8080"), stateListen, 1682),
		inetLine(netip.MustParseAddrPort("[fe80::1]:53"), stateClose, 1<<40),
		"00000000ef5ff690: 00000002 00000000 00010000 0001 01  1679 /run/x.sock\n",
		"0: 00000000000000000000000000000000:FFFF 0 0A 0 0 0 0 0 18446744073709551615",
		"0: 0:0 0:0 0A 0 0 0 0 0 0", "\n\n", "   ", "0: 0100007F: x 0A",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range []string{"tcp", "udp6", "unix"} {
			for inode, on := range readTable(strings.NewReader("heading\n"+text), name) {
				if on == "" || !strings.Contains(strings.ToUpper(text), fmt.Sprint(inode)) {
					t.Errorf("%s: %d %q", name, inode, on)
				}
			}
		}
		line, _, _ := strings.Cut(text, "\n")
		inode, state, local, ok := parseInet([]byte(line))
		if !ok {
			return
		}
		again, againState, againLocal, ok := parseInet([]byte(strings.TrimSuffix(inetLine(local, state, inode), "\n")))
		if !ok || again != inode || againState != state || againLocal != local {
			t.Errorf("%q: %d %X %v, and again %d %X %v, %v", line, inode, state, local, again, againState, againLocal, ok)
		}
	})
}
