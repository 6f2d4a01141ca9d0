package reap

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// splitListening takes out of the files those sockets that listen, and tells on
// what. The tables are read only if there is a socket.
func (i *Inspector) splitListening(dir int, files []File) (others []File, listening []string) {
	isSocket := func(f File) bool { return strings.HasPrefix(f.Path, "socket:[") }
	if !slices.ContainsFunc(files, isSocket) {
		return files, nil
	}
	tables := i.socketTables(dir)
	for _, f := range files {
		if on := lookUp(tables, f.Path); on == "" {
			others = append(others, f)
		} else if !slices.Contains(listening, on) {
			listening = append(listening, on)
		}
	}
	return others, listening
}

// lookUp finds "socket:[77]" in the tables; "" is for any other file, too.
func lookUp(tables []map[uint64]string, path string) string {
	number, ok := strings.CutPrefix(path, "socket:[")
	if !ok {
		return ""
	}
	inode, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64)
	if err != nil {
		return ""
	}
	for _, table := range tables {
		if on, ok := table[inode]; ok {
			return on
		}
	}
	return ""
}

// socketTables gives what there is to listen on in the network namespace of a
// process. A table is remembered as soon as it could be opened: it can be read to
// its end then, even if the process ends meanwhile.
func (i *Inspector) socketTables(dir int) []map[uint64]string {
	namespace, _ := readlinkAt(dir, "ns/net") // "" if the kernel has but one
	var tables []map[uint64]string
	for _, name := range []string{"tcp", "tcp6", "udp", "udp6", "unix"} {
		key := socketTable{namespace, name}
		table, known := i.tables[key]
		if !known {
			fd, err := unix.Openat(dir, "net/"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				continue // there is no IPv6, or the process has ended
			}
			table = readTable(descriptor(fd), name)
			unix.Close(fd) //nolint:errcheck // nothing was written
			if i.tables == nil {
				i.tables = make(map[socketTable]map[uint64]string)
			}
			i.tables[key] = table
		}
		tables = append(tables, table)
	}
	return tables
}

// readTable keeps what listens, by inode.
func readTable(r io.Reader, name string) map[uint64]string {
	table := make(map[uint64]string)
	lines := bufio.NewScanner(r)
	lines.Scan() // the heading
	for lines.Scan() {
		line := lines.Bytes()
		if name == "unix" {
			if inode, path, ok := parseUnix(line); ok {
				table[inode] = "unix " + path
			}
			continue
		}
		inode, state, local, ok := parseInet(line)
		switch protocol := strings.TrimSuffix(name, "6"); {
		case !ok:
		case protocol == "udp" && state == stateClose, protocol == "tcp" && state == stateListen:
			table[inode] = protocol + " " + local.String()
		case protocol == "tcp" && state != stateSynRecv:
			// Those that listen come first (tcp_get_idx in net/ipv4/tcp_ipv4.c),
			// before Linux 4.4 with what asks to be accepted in between. The
			// connections that follow can be a million.
			return table
		}
	}
	return table
}

// States of a socket, from include/net/tcp_states.h. A UDP socket has the state
// Close when it is bound and not connected.
const (
	stateSynRecv = 0x03
	stateClose   = 0x07
	stateListen  = 0x0A
)

// parseInet parses a line of net/tcp, tcp6, udp or udp6:
//
//	0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1682 ...
func parseInet(line []byte) (inode uint64, state byte, local netip.AddrPort, ok bool) {
	var field [10][]byte
	for n := range field {
		field[n], line = cutField(line)
	}
	st, err := strconv.ParseUint(string(field[3]), 16, 8)
	if err != nil {
		return 0, 0, local, false
	}
	inode, err = strconv.ParseUint(string(field[9]), 10, 64)
	if err != nil {
		return 0, 0, local, false
	}
	local, ok = parseAddress(field[1])
	return inode, byte(st), local, ok
}

// parseAddress parses "0100007F:1F90". The kernel prints each 32 bits of an
// address, which are in the order of the network, as a number of the machine.
func parseAddress(text []byte) (netip.AddrPort, bool) {
	host, portText, _ := bytes.Cut(text, []byte{':'})
	port, err := strconv.ParseUint(string(portText), 16, 16)
	if err != nil || len(host) != 8 && len(host) != 32 {
		return netip.AddrPort{}, false
	}
	var raw []byte
	for word := range slices.Chunk(host, 8) {
		n, err := strconv.ParseUint(string(word), 16, 32)
		if err != nil {
			return netip.AddrPort{}, false
		}
		raw = binary.NativeEndian.AppendUint32(raw, uint32(n))
	}
	addr, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr, uint16(port)), ok
}

// parseUnix parses a line of net/unix, and is ok if the socket listens:
//
//	00000000ef5ff690: 00000002 00000000 00010000 0001 01  1679 /run/x.sock
//
// The path may hold any byte. What follows a newline in it is another line here.
func parseUnix(line []byte) (inode uint64, path string, ok bool) {
	var field [7][]byte
	for n := range field {
		field[n], line = cutField(line)
	}
	const acceptCon = 1 << 16 // __SO_ACCEPTCON, include/uapi/linux/net.h
	flags, err := strconv.ParseUint(string(field[3]), 16, 32)
	if err != nil || flags&acceptCon == 0 || len(line) < 2 {
		return 0, "", false
	}
	inode, err = strconv.ParseUint(string(field[6]), 10, 64)
	return inode, string(line[1:]), err == nil // one space stands before the path
}

// cutField cuts the first word off a line.
func cutField(line []byte) (field, rest []byte) {
	line = bytes.TrimLeft(line, " ")
	if end := bytes.IndexByte(line, ' '); end >= 0 {
		return line[:end], line[end:]
	}
	return line, nil
}

// descriptor reads a file of /proc. Package os would offer it to the poller.
type descriptor int

func (fd descriptor) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(int(fd), p)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}
