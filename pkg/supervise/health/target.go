package health

import (
	"encoding/base64"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Target is what a probe asks over the network. It is a value; two that were made of
// the same text are equal.
type Target struct {
	name    string // as it is told: without a password
	host    string
	port    string
	request string // "" if a connection is all that is wanted
}

// String is the URL without its password, or the host and the port.
func (t Target) String() string { return t.name }

// ErrTLS is what is wrong with a URL of https.
var ErrTLS = errors.New("https needs TLS, which reaper does not have")

var (
	errNotASCII = errors.New("a space, or a character that is not ASCII")
	errNotHTTP  = errors.New("not an http:// URL")
	errNoHost   = errors.New("no host")
	errBadHost  = errors.New("the host is neither a name nor an address")
	errNoPort   = errors.New("no port")
	errBadPort  = errors.New("the port is not a number from 1 to 65535")
)

// ParseHTTP takes an http URL. A user and a password in it are sent by Basic
// authentication, as curl does it; a fragment is left out. The error says what is
// wrong with the text, without repeating it.
func ParseHTTP(text string) (Target, error) {
	scheme, _, _ := strings.Cut(text, "://")
	switch {
	case !printable(text):
		return Target{}, errNotASCII
	case strings.EqualFold(scheme, "https"):
		return Target{}, ErrTLS
	case !strings.EqualFold(scheme, "http"), scheme == text:
		return Target{}, errNotHTTP
	}
	u, err := url.Parse(text)
	if err != nil {
		if wrong, ok := errors.AsType[*url.Error](err); ok {
			err = wrong.Err // the rest is the text
		}
		return Target{}, err
	}
	t := Target{host: u.Hostname(), port: u.Port()}
	if t.port == "" {
		t.port = "80"
	}
	if err := t.checkAddress(); err != nil {
		return Target{}, err
	}
	u.Fragment, u.RawFragment = "", ""
	t.name = u.Redacted()
	t.request = requestFor(u)
	return t, nil
}

// ParseTCP takes HOST:PORT. A probe succeeds when it is connected. The error says what
// is wrong with the text, without repeating it.
func ParseTCP(text string) (Target, error) {
	if !printable(text) {
		return Target{}, errNotASCII
	}
	host, port, err := net.SplitHostPort(text)
	switch wrong, ok := errors.AsType[*net.AddrError](err); {
	case ok && strings.HasPrefix(wrong.Err, "missing port"), err == nil && port == "":
		return Target{}, errNoPort
	case err != nil:
		return Target{}, errBadHost
	}
	t := Target{name: text, host: host, port: port}
	if err := t.checkAddress(); err != nil {
		return Target{}, err
	}
	return t, nil
}

// checkAddress is what is wrong with the host or the port. A name is not looked up: who
// it belongs to may change.
func (t Target) checkAddress() error {
	if t.host == "" {
		return errNoHost
	}
	strange := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._", r)
	}
	if _, err := netip.ParseAddr(t.host); err != nil && strings.ContainsFunc(t.host, strange) {
		return errBadHost
	}
	if n, err := strconv.ParseUint(t.port, 10, 16); err != nil || n == 0 {
		return errBadPort
	}
	return nil
}

// requestFor is what is sent for a URL. The connection is for one answer, and is closed
// by a server that knows HTTP when it has sent all of it.
func requestFor(u *url.URL) string {
	host, _, _ := strings.Cut(u.Hostname(), "%") // the zone is of this machine: RFC 6874, 4
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if u.Port() != "" {
		host += ":" + u.Port()
	}
	var b strings.Builder
	b.WriteString("GET " + u.RequestURI() + " HTTP/1.1\r\n")
	b.WriteString("Host: " + host + "\r\n")
	b.WriteString("User-Agent: reaper\r\nAccept: */*\r\nConnection: close\r\n")
	if u.User != nil {
		password, _ := u.User.Password()
		b.WriteString("Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)) + "\r\n")
	}
	b.WriteString("\r\n")
	return b.String()
}

// printable reports whether a text is of the characters that an address and a line of
// a request can have.
func printable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}
