package output

import (
	"bytes"
	"time"
)

// maxTailLine is how much of a line is remembered.
const maxTailLine = 8 << 10

// tail remembers the last lines. Their buffers are used again and again.
type tail struct {
	max   int
	lines []remembered // line n is at n modulo max
	next  int          // the number of the next line, from 0
	open  [streams]int // one more than the number of the line that goes on; 0 is none
}

type remembered struct {
	stream Stream
	at     time.Time
	text   []byte
	cut    bool
}

func newTail(lines int) tail { return tail{max: lines} }

// add takes in what was read. Of many lines it looks at the last alone.
func (t *tail) add(s Stream, at time.Time, data []byte, cont bool) {
	if t.max == 0 {
		return
	}
	if open := t.open[s]; open > 0 && cont {
		line, rest, ended := cutLine(data)
		if open > t.next-t.max { // it is still there
			t.lines[(open-1)%t.max].append(line)
		}
		if !ended {
			return
		}
		data = rest
	}
	t.open[s] = 0
	data = lastLines(data, t.max)
	for len(data) > 0 {
		line, rest, ended := cutLine(data)
		t.begin(s, at).append(line)
		if !ended {
			t.open[s] = t.next
		}
		data = rest
	}
}

// begin makes room for one more line.
func (t *tail) begin(s Stream, at time.Time) *remembered {
	if len(t.lines) < t.max {
		t.lines = append(t.lines, remembered{})
	}
	line := &t.lines[t.next%t.max]
	*line = remembered{stream: s, at: at, text: line.text[:0]}
	t.next++
	return line
}

func (r *remembered) append(text []byte) {
	if room := maxTailLine - len(r.text); len(text) > room {
		text, r.cut = text[:room], true
	}
	r.text = append(r.text, text...)
}

// copy is the lines as values, the oldest first.
func (t *tail) copy() []Line {
	lines := make([]Line, 0, len(t.lines))
	for n := t.next - len(t.lines); n < t.next; n++ {
		r := &t.lines[n%t.max]
		lines = append(lines, Line{r.stream, r.at, string(r.text), r.cut})
	}
	return lines
}

func cutLine(data []byte) (line, rest []byte, ended bool) { return bytes.Cut(data, []byte{'\n'}) }

// lastLines is the end of data, from where on there are at most n lines.
func lastLines(data []byte, n int) []byte {
	begin := len(bytes.TrimSuffix(data, []byte{'\n'}))
	for range n {
		if begin = bytes.LastIndexByte(data[:begin], '\n'); begin < 0 {
			return data
		}
	}
	return data[begin+1:]
}
