package health

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
)

func TestParseHTTP(t *testing.T) {
	for text, want := range map[string]struct{ name, host, port, line, hostField string }{
		"http://localhost":                {"http://localhost", "localhost", "80", "GET / ", "localhost"},
		"http://localhost/":               {"http://localhost/", "localhost", "80", "GET / ", "localhost"},
		"HTTP://Localhost:8080/x/y?z=1":   {"http://Localhost:8080/x/y?z=1", "Localhost", "8080", "GET /x/y?z=1 ", "Localhost:8080"},
		"http://h:/":                      {"http://h:/", "h", "80", "GET / ", "h"},
		"http://h?x":                      {"http://h?x", "h", "80", "GET /?x ", "h"},
		"http://h/a%20b|c?d|e%20f":        {"http://h/a%20b%7Cc?d|e%20f", "h", "80", "GET /a%20b%7Cc?d|e%20f ", "h"},
		"http://h/x#part":                 {"http://h/x", "h", "80", "GET /x ", "h"},
		"http://h/..//x":                  {"http://h/..//x", "h", "80", "GET /..//x ", "h"},
		"http://127.0.0.1:065/":           {"http://127.0.0.1:065/", "127.0.0.1", "065", "GET / ", "127.0.0.1:065"},
		"http://[::1]/":                   {"http://[::1]/", "::1", "80", "GET / ", "[::1]"},
		"http://[::1]:8080/":              {"http://[::1]:8080/", "::1", "8080", "GET / ", "[::1]:8080"},
		"http://[::ffff:127.0.0.1]:1/":    {"http://[::ffff:127.0.0.1]:1/", "::ffff:127.0.0.1", "1", "GET / ", "[::ffff:127.0.0.1]:1"},
		"http://[fe80::1%25eth0]:8080/":   {"http://[fe80::1%25eth0]:8080/", "fe80::1%eth0", "8080", "GET / ", "[fe80::1]:8080"},
		"http://my_app.example.:8080":     {"http://my_app.example.:8080", "my_app.example.", "8080", "GET / ", "my_app.example.:8080"},
		"http://user:secret@h/x":          {"http://user:xxxxx@h/x", "h", "80", "GET /x ", "h"},
		"http://user@h/":                  {"http://user@h/", "h", "80", "GET / ", "h"},
		"http://us%0d%0aer:s%3Acret@h/":   {"http://us%0D%0Aer:xxxxx@h/", "h", "80", "GET / ", "h"},
		"http://h/%0d%0aInjected:%20yes/": {"http://h/%0d%0aInjected:%20yes/", "h", "80", "GET /%0d%0aInjected:%20yes/ ", "h"},
	} {
		got, err := ParseHTTP(text)
		if err != nil || got.String() != want.name || got.host != want.host || got.port != want.port {
			t.Errorf("%q: %q at %q:%q, %v; want %q at %q:%q", text, got, got.host, got.port, err, want.name, want.host, want.port)
			continue
		}
		start := want.line + "HTTP/1.1\r\nHost: " + want.hostField + "\r\n"
		if !strings.HasPrefix(got.request, start) {
			t.Errorf("%q: asks %q, which does not start with %q", text, got.request, start)
		}
		wellFormed(t, got)
	}
}

// wellFormed has package net/http read the request.
func wellFormed(t *testing.T, target Target) *http.Request {
	t.Helper()
	r := bufio.NewReader(strings.NewReader(target.request))
	request, err := http.ReadRequest(r)
	if err != nil {
		t.Fatalf("%q: %v", target.request, err)
	}
	if r.Buffered() != 0 || request.Method != http.MethodGet || !request.Close || request.ContentLength != 0 || request.UserAgent() != "reaper" {
		t.Errorf("%q is read as %+v", target.request, request)
	}
	for name := range request.Header {
		switch name {
		case "User-Agent", "Accept", "Connection", "Authorization":
		default:
			t.Errorf("%q has a field %q", target.request, name)
		}
	}
	return request
}

func TestParseHTTPAuthorization(t *testing.T) {
	for text, want := range map[string][2]string{
		"http://user:secret@h/":     {"user", "secret"},
		"http://user@h/":            {"user", ""},
		"http://:secret@h/":         {"", "secret"},
		"http://u%40x:a%3Ab%20c@h/": {"u@x", "a:b c"},
	} {
		target, err := ParseHTTP(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		user, password, ok := wellFormed(t, target).BasicAuth()
		if !ok || user != want[0] || password != want[1] {
			t.Errorf("%q: %q, %q, %v", text, user, password, ok)
		}
	}
}

func TestParseHTTPRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"https://localhost/":         "https needs TLS, which reaper does not have",
		"HTTPS://localhost/":         "https needs TLS, which reaper does not have",
		"":                           "not an http:// URL",
		"localhost":                  "not an http:// URL",
		"localhost:8080/healthz":     "not an http:// URL",
		"/healthz":                   "not an http:// URL",
		"//localhost/":               "not an http:// URL",
		"unix:///run/x.sock":         "not an http:// URL",
		"http+unix://%2Frun%2Fx/":    "not an http:// URL",
		"127.0.0.1:8080":             "not an http:// URL",
		":8080/":                     "not an http:// URL",
		"http:":                      "not an http:// URL",
		"http:localhost":             "not an http:// URL",
		"http":                       "not an http:// URL",
		"http://":                    "no host",
		"http:///healthz":            "no host",
		"http://:8080/":              "no host",
		"http://user@/":              "no host",
		"http://a,b/":                "the host is neither a name nor an address",
		"http://a%C3%BC/":            "the host is neither a name nor an address",
		"http://h:0/":                "the port is not a number from 1 to 65535",
		"http://h:65536/":            "the port is not a number from 1 to 65535",
		"http://h:http/":             `invalid port ":http" after host`,
		"http://h:-1/":               `invalid port ":-1" after host`,
		"http://::1/":                `invalid port "::1" after host`,
		"http://[::1/":               "missing ']' in host",
		"http://h/%zz":               `invalid URL escape "%zz"`,
		"http://h/a b":               "a space, or a character that is not ASCII",
		"http://h/ü":                 "a space, or a character that is not ASCII",
		"http://h/?x=ü":              "a space, or a character that is not ASCII",
		"http://h/\r\nInjected: yes": "a space, or a character that is not ASCII",
		"http://h/\x00":              "a space, or a character that is not ASCII",
		"http://h/\xff":              "a space, or a character that is not ASCII",
		" http://h/":                 "a space, or a character that is not ASCII",
	} {
		got, err := ParseHTTP(text)
		if err == nil || err.Error() != want || got != (Target{}) {
			t.Errorf("%q: %v, %v; want %q", text, got, err, want)
		}
	}
}

func TestParseTCP(t *testing.T) {
	for text, want := range map[string][2]string{
		"localhost:6379":          {"localhost", "6379"},
		"127.0.0.1:1":             {"127.0.0.1", "1"},
		"[::1]:65535":             {"::1", "65535"},
		"[fe80::1%eth0]:53":       {"fe80::1%eth0", "53"},
		"db-1.my_app.local.:5432": {"db-1.my_app.local.", "5432"},
	} {
		got, err := ParseTCP(text)
		if err != nil || got != (Target{name: text, host: want[0], port: want[1]}) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func TestParseTCPRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "no port",
		"localhost":                      "no port",
		"6379":                           "no port",
		"[::1]":                          "no port",
		"localhost:":                     "no port",
		":6379":                          "no host",
		"[]:6379":                        "no host",
		"::1:6379":                       "the host is neither a name nor an address",
		"[::1:6379":                      "the host is neither a name nor an address",
		"a:b:1":                          "the host is neither a name nor an address",
		"tcp://localhost:1":              "the host is neither a name nor an address",
		"//localhost:1":                  "the host is neither a name nor an address",
		"127.0.0.1%eth0:1":               "the host is neither a name nor an address",
		"[a/b]:1":                        "the host is neither a name nor an address",
		"localhost:0":                    "the port is not a number from 1 to 65535",
		"localhost:65536":                "the port is not a number from 1 to 65535",
		"localhost:+1":                   "the port is not a number from 1 to 65535",
		"localhost:redis":                "the port is not a number from 1 to 65535",
		"localhost:1/":                   "the port is not a number from 1 to 65535",
		"localhost: 1":                   "a space, or a character that is not ASCII",
		"lócalhost:1":                    "a space, or a character that is not ASCII",
		"[fe80::1%\n]:1":                 "a space, or a character that is not ASCII",
		"localhost:1\x00":                "a space, or a character that is not ASCII",
		"localhost:18446744073709551617": "the port is not a number from 1 to 65535",
	} {
		got, err := ParseTCP(text)
		if err == nil || err.Error() != want || got != (Target{}) {
			t.Errorf("%q: %v, %v; want %q", text, got, err, want)
		}
	}
}

// What is taken makes one request, whatever stands in the URL, and its name is taken too.
func FuzzParseHTTP(f *testing.F) {
	for _, text := range []string{
		"http://localhost:8080/x?y#z", "http://a:b@[::1%25lo]:1/%0d", "https://h", "http://h:/ü", "http://h/\r\n", "//", "",
		"http://h?a b", "http://%41/", "http://h/?\x7f", "http://u%0a:p%0d@h",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		target, err := ParseHTTP(text)
		if err != nil {
			if target != (Target{}) || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }) {
				t.Errorf("%q: %+v, %v", text, target, err)
			}
			return
		}
		request := wellFormed(t, target)
		if strings.Contains(request.Host, "%") || !printable(target.name) {
			t.Errorf("%q: host %q, name %q", text, request.Host, target.name)
		}
		again, err := ParseHTTP(target.name)
		if err != nil || again.host != target.host || again.port != target.port || again.name != target.name {
			t.Errorf("%q is called %q, which is read as %+v, %v", text, target.name, again, err)
		}
	})
}

func FuzzParseTCP(f *testing.F) {
	for _, text := range []string{"localhost:6379", "[::1]:1", "[fe80::1%lo]:1", ":1", "a:", "a:b:c", "[a]:1", "h:0x1", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		target, err := ParseTCP(text)
		switch {
		case err != nil && target != (Target{}):
			t.Errorf("%q: %+v, %v", text, target, err)
		case err == nil && (target.String() != text || !printable(text) || target.host == "" || target.port == "" || target.request != ""):
			t.Errorf("%q: %+v", text, target)
		}
	})
}
