package health

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadAnswer(t *testing.T) {
	long := strings.Repeat("x", 5000) // more than is buffered
	for text, want := range map[string]struct {
		code int
		err  string
	}{
		"HTTP/1.1 200 OK\r\n\r\n":                                  {200, ""},
		"HTTP/1.1 200 OK\r\nServer: x\r\n\r\nbody":                 {200, ""},
		"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n":      {404, ""},
		"HTTP/1.1 200\r\n\r\n":                                     {200, ""},
		"HTTP/1.1 200 \r\n\r\n":                                    {200, ""},
		"HTTP/1.1 503 Ünavailable\r\n\r\n":                         {503, ""},
		"HTTP/1.1 200 OK\n\n":                                      {200, ""},
		"HTTP/1.1 200 OK\nA: b\r\n\n":                              {200, ""},
		"HTTP/1.7 999 X\r\n\r\n":                                   {999, ""},
		"HTTP/1.1 200 " + long + "\r\n\r\n":                        {200, ""},
		"HTTP/1.1 200 OK\r\nX: " + long + "\r\n\r\n":               {200, ""},
		"HTTP/1.1 200 OK\r\nthis is no field\r\n\x00\r\n\r\n":      {200, ""},
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 302 Found\r\n\r\n":  {302, ""},
		"HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200\n\n": {200, ""},
		strings.Repeat("HTTP/1.1 100 C\r\n\r\n", 9) + "HTTP/1.1 2": {0, "the answer ends within its header"},
		"HTTP/1.1 101 Switching Protocols\r\n\r\n\x00\x01":         {101, ""},

		"":                                   {0, "closed without an answer"},
		"H":                                  {0, "the answer ends within its header"},
		"HTTP/1.1 200 OK":                    {0, "the answer ends within its header"},
		"HTTP/1.1 200 OK\r\n":                {0, "the answer ends within its header"},
		"HTTP/1.1 200 OK\r\nA: b\r\n":        {0, "the answer ends within its header"},
		"HTTP/1.1 200 OK\r\n\r":              {0, "the answer ends within its header"},
		"HTTP/1.1 100 Continue\r\n\r\n":      {0, "the answer ends within its header"},
		"\r\nHTTP/1.1 200 OK\r\n\r\n":        {0, `the answer is not HTTP: "\r\nHTTP/1.1 200 OK\r\n\r\n"`},
		"SSH-2.0-OpenSSH_10.0\r\n":           {0, `the answer is not HTTP: "SSH-2.0-OpenSSH_10.0\r\n"`},
		"\x15\x03\x01\x00\x02\x02\x16":       {0, `the answer is not HTTP: "\x15\x03\x01\x00\x02\x02\x16"`}, // TLS has no better
		"ICY 200 OK\r\n\r\n":                 {0, `the answer is not HTTP: "ICY 200 OK\r\n\r\n"`},
		"http/1.1 200 OK\r\n\r\n":            {0, `the answer is not HTTP: "http/1.1 200 OK\r\n\r\n"`},
		"HTTP/2.0 200 OK\r\n\r\n":            {0, `the answer is not HTTP: "HTTP/2.0 200 OK\r\n\r\n"`},
		"HTTP/1.1  200 OK\r\n\r\n":           {0, `the answer is not HTTP: "HTTP/1.1  200 OK"`},
		"HTTP/1.x 200 OK\r\n\r\n":            {0, `the answer is not HTTP: "HTTP/1.x 200 OK"`},
		"HTTP/1.1 20\r\n\r\n":                {0, `the answer is not HTTP: "HTTP/1.1 20"`},
		"HTTP/1.1 2000 OK\r\n\r\n":           {0, `the answer is not HTTP: "HTTP/1.1 2000 OK"`},
		"HTTP/1.1 099 OK\r\n\r\n":            {0, `the answer is not HTTP: "HTTP/1.1 099 OK"`},
		"HTTP/1.1 +20 OK\r\n\r\n":            {0, `the answer is not HTTP: "HTTP/1.1 +20 OK"`},
		"HTTP/1.1 2x0 OK\r\n\r\n":            {0, `the answer is not HTTP: "HTTP/1.1 2x0 OK"`},
		"HTTP/1.11 200 OK\r\n\r\n":           {0, `the answer is not HTTP: "HTTP/1.11 200 OK"`},
		"HTTP/1.1 200: " + long + "\r\n\r\n": {0, `the answer is not HTTP: "HTTP/1.1 200: ` + long[:26] + `"`},
	} {
		for how, r := range map[string]io.Reader{
			"at once":         strings.NewReader(text),
			"byte by byte":    iotest.OneByteReader(strings.NewReader(text)),
			"with its EOF":    iotest.DataErrReader(strings.NewReader(text)),
			"with a bad read": io.MultiReader(strings.NewReader(text), iotest.ErrReader(errProbe)),
		} {
			code, err := readAnswer(bufio.NewReader(r))
			got := ""
			if err != nil {
				got = err.Error()
			}
			wanted := want.err
			switch {
			case how == "with a bad read" && !strings.HasPrefix(wanted, "the answer is not") && wanted != "":
				wanted = errProbe.Error()
			case how == "byte by byte" && strings.HasPrefix(wanted, "the answer is not"):
				wanted, got = "the answer is not", strings.SplitAfter(got, " not")[0] // of what has come so far
			}
			if code != want.code || got != wanted {
				t.Errorf("%s, %.60q: %d, %q; want %d, %q", how, text, code, got, want.code, wanted)
			}
		}
	}
}

// once fails once and has ended then, as a socket does.
type once struct{ err error }

func (r *once) Read([]byte) (int, error) {
	err := r.err
	r.err = io.EOF
	return 0, err
}

func TestReadAnswerFails(t *testing.T) {
	for _, text := range []string{"", "HTTP", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nServer: x", "HTTP/1.1 100 \r\n\r\n"} {
		if code, err := readAnswer(bufio.NewReader(io.MultiReader(strings.NewReader(text), &once{errProbe}))); !errors.Is(err, errProbe) {
			t.Errorf("%q: %d, %v", text, code, err)
		}
	}
}

// Whatever comes, reading ends, and with a status from 200 on, 101, or an error of one line.
func FuzzReadAnswer(f *testing.F) {
	for _, text := range []string{
		"", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.0 302\n\n", "HTTP/1.1 100 \r\n\r\nHTTP/1.1 101 \r\n\r\n", "HTTP/1.1 20", "SSH-2.0\r\n",
		"HTTP/1.1 200 " + strings.Repeat("a", 4096) + "\n\n", "\x00",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		code, err := readAnswer(bufio.NewReader(bytes.NewReader(text)))
		switch {
		case err == nil && (code == 101 || code >= 200 && code <= 999):
			if !bytes.HasPrefix(text, []byte("HTTP/1.")) || !bytes.Contains(text, []byte("\n")) {
				t.Errorf("%q has status %d", text, code)
			}
		case err == nil || code != 0 || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }):
			t.Errorf("%q: %d, %v", text, code, err)
		case errors.Is(err, io.EOF):
			t.Errorf("%q: %v", text, err)
		}
	})
}
