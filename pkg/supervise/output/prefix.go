package output

import "time"

// flushSize is from how many bytes on lines are written.
const flushSize = 64 << 10

// timeLayout is that of RFC 3339, with milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// prefix puts the time, the name and the stream before lines:
//
//	2026-11-24T18:38:00.123+01:00 nginx stdout: a line
//	2026-11-24T18:38:00.123+01:00 nginx stdout+: the rest of one
type prefix struct {
	name string
	head []byte
	cont bool // the next line is the rest of one
	out  []byte
}

func newPrefix(name string) *prefix {
	if name != "" {
		name += " "
	}
	return &prefix{name: name}
}

// begin is called before the lines of a part.
func (p *prefix) begin(of *part) {
	p.head = p.appendHead(p.head[:0], of.at, of.stream)
	p.cont = of.cont
}

func (p *prefix) appendHead(to []byte, at time.Time, s Stream) []byte {
	to = append(at.AppendFormat(to, timeLayout), ' ')
	to = append(append(to, p.name...), s.String()...)
	return append(to, ": "...)
}

// add takes in the first line of data and returns the others. bare: it has no prefix.
func (p *prefix) add(data []byte, bare bool) []byte {
	line, others, ended := cutLine(data)
	switch {
	case bare:
	case p.cont:
		p.out = append(append(p.out, p.head[:len(p.head)-2]...), "+: "...)
	default:
		p.out = append(p.out, p.head...)
	}
	p.cont = false
	p.out = append(p.out, line...)
	if ended {
		p.lineBreak()
	}
	return others
}

func (p *prefix) lineBreak() { p.out = append(p.out, '\n') }

// take is what is to be written, if it is so much. It is good until the next call.
func (p *prefix) take(atLeast int) []byte {
	if len(p.out) < atLeast {
		return nil
	}
	out := p.out
	p.out = p.out[:0]
	return out
}

// remark is a line that is none of the command's.
func (p *prefix) remark(s Stream, text []byte) []byte {
	return append(p.appendHead(nil, time.Now(), s), text...)
}
