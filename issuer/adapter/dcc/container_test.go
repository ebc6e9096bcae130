package dcc

import (
	"bytes"
	"compress/zlib"
	"testing"
)

func deflate(data []byte) []byte {
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	w.Write(data)
	w.Close()
	return out.Bytes()
}

func TestInflate(t *testing.T) {
	if got, err := inflate(deflate([]byte("message"))); err != nil || string(got) != "message" {
		t.Errorf("%q, error %v", got, err)
	}
	if got, err := inflate(deflate(make([]byte, maxMessage))); err != nil || len(got) != maxMessage {
		t.Errorf("%d bytes, error %v", len(got), err)
	}
	whole := deflate([]byte("message"))
	for name, data := range map[string][]byte{
		"a bomb":             deflate(make([]byte, 3<<20)),
		"one byte too many":  deflate(make([]byte, maxMessage+1)),
		"something after it": append(bytes.Clone(whole), 0),
		"cut short":          whole[:len(whole)-1],
		"a wrong checksum":   append(bytes.Clone(whole[:len(whole)-1]), whole[len(whole)-1]^1),
		"nothing inside":     deflate(nil),
		"nothing":            nil,
		"not compressed":     []byte("message"),
	} {
		if _, err := inflate(data); err == nil {
			t.Errorf("%s is inflated", name)
		}
	}
}
