package health

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// nameServer answers questions for addresses of IPv4, over UDP and TCP. What it answers
// is up to answer, which gets the question and returns nil for nothing. It returns
// a resolver that asks it instead of those of /etc/resolv.conf.
func nameServer(t *testing.T, answer func(network string, question []byte) []byte) *net.Resolver {
	t.Helper()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		question := make([]byte, 1500)
		for {
			n, from, err := udp.ReadFrom(question)
			if err != nil {
				return
			}
			if text := answer("udp", question[:n]); text != nil {
				udp.WriteTo(text, from) //nolint:errcheck // who has asked may have gone
			}
		}
	}()
	t.Cleanup(func() {
		udp.Close() //nolint:errcheck // it is open
		<-served
	})
	address := udp.LocalAddr().String()
	tcp := serve(t, "127.0.0.1:0", func(c *net.TCPConn) {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		question := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, question); err != nil {
			return
		}
		text := answer("tcp", question)
		if text == nil {
			gone(c)
			return
		}
		c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(text))), text...)) //nolint:errcheck // who has asked may have gone
		gone(c)
	})
	names := resolver()
	dial := names.Dial
	names.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		if strings.HasPrefix(network, "tcp") {
			return dial(ctx, network, tcp)
		}
		return dial(ctx, network, address)
	}
	return names
}

// The codes and flags of an answer: RFC 1035, 4.1.1.
const (
	dnsAnswer    = 0x8180
	dnsTruncated = 0x0200
	dnsNoName    = 3
)

// answerTo makes an answer of a question: the addresses, if it is for such.
func answerTo(question []byte, flags uint16, addresses ...[4]byte) []byte {
	const headerSize, typeA = 12, 1
	end := headerSize + bytes.IndexByte(question[headerSize:], 0) + 5 // the name, its type and its class
	kind := binary.BigEndian.Uint16(question[end-4:])
	if kind != typeA {
		addresses = nil
	}
	text := binary.BigEndian.AppendUint16(bytes.Clone(question[:2]), flags)
	text = append(text, 0, 1, 0, byte(len(addresses)), 0, 0, 0, 0)
	text = append(text, question[headerSize:end]...)
	for _, a := range addresses {
		text = append(text, 0xc0, headerSize, 0, typeA, 0, 1, 0, 0, 0, 0, 0, 4) // the name that was asked for
		text = append(text, a[:]...)
	}
	return text
}

const host = "daemon.example." // no domain is appended to it

// nameServerTimeout is how long package net waits for an answer, if /etc/resolv.conf does
// not say otherwise.
const nameServerTimeout = 5 * time.Second

// silentOver is a name server that does not answer over a network.
func silentOver(network string, asked func()) func(string, []byte) []byte {
	return func(over string, question []byte) []byte {
		if over == network {
			asked()
			return nil
		}
		return answerTo(question, dnsAnswer|dnsTruncated)
	}
}
