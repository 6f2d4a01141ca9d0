package health

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

const (
	// headerLimit is how much of an answer is read to find the end of its header.
	headerLimit = 64 << 10
	// quoteLimit is how much of it is told if it is none.
	quoteLimit = 40
)

var (
	errNoAnswer   = errors.New("closed without an answer")
	errBreaksOff  = errors.New("the answer ends within its header")
	errLongHeader = fmt.Errorf("the header of the answer is longer than %d KiB", headerLimit>>10)
)

// readAnswer reads an answer of HTTP/1.0 or 1.1 up to the end of its header, and
// returns its status. Those that announce another (100 and 103) are passed over; 101
// is the last of its kind. What the fields of the header say does not matter.
func readAnswer(r *bufio.Reader) (code int, err error) {
	switch _, err := r.Peek(1); {
	case errors.Is(err, io.EOF):
		return 0, errNoAnswer
	case err != nil:
		return 0, err // it is told once, and is followed by io.EOF
	}
	for {
		code, err = readStatus(r)
		if err == nil {
			err = skipHeader(r)
		}
		switch {
		case errors.Is(err, io.EOF):
			return 0, errBreaksOff
		case err != nil:
			return 0, err
		case code >= 200, code == 101:
			return code, nil
		}
	}
}

// readStatus reads the first line: HTTP/1.1 200 OK, where the last word, and the space
// before it, may be missing. What is not HTTP is noticed before its line has ended,
// which it may never do.
func readStatus(r *bufio.Reader) (code int, err error) {
	const prefix, version, after = "HTTP/1.", "HTTP/1.1", "HTTP/1.1 200"
	start, err := r.Peek(len(prefix))
	if !bytes.HasPrefix([]byte(prefix), start) {
		start, _ = r.Peek(min(r.Buffered(), quoteLimit))
		return 0, notHTTP(start)
	}
	if err != nil {
		return 0, err
	}
	line, err := readLine(r)
	if err != nil {
		return 0, err
	}
	if len(line) < len(after) || len(line) > len(after) && line[len(after)] != ' ' {
		return 0, notHTTP(line)
	}
	if c := line[len(prefix)]; c < '0' || c > '9' || line[len(version)] != ' ' {
		return 0, notHTTP(line)
	}
	for _, c := range line[len(version)+1 : len(after)] {
		if c < '0' || c > '9' {
			return 0, notHTTP(line)
		}
		code = 10*code + int(c-'0')
	}
	if code < 100 {
		return 0, notHTTP(line)
	}
	return code, nil
}

// skipHeader reads up to the empty line.
func skipHeader(r *bufio.Reader) error {
	for {
		if line, err := readLine(r); err != nil || len(line) == 0 {
			return err
		}
	}
}

// readLine reads a line and returns the start of it, as much as is buffered at once,
// without its end. That may lack a carriage return: RFC 9112, 2.2.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		line = bytes.Clone(line) // the rest takes its place
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.ReadSlice('\n')
		}
	}
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")), err
}

func notHTTP(text []byte) error {
	return fmt.Errorf("the answer is not HTTP: %q", text[:min(len(text), quoteLimit)])
}
