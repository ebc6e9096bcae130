package dcc

// The container of a certificate: base45 text of a zlib stream.

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
)

// Prefix is the context identifier of version 1 of the container.
const Prefix = "HC1:"

const (
	// maxMessage bounds the inflated message. Real ones have some 400 bytes; zlib could blow up a QR code to 3 MB.
	maxMessage = 16 << 10
)

// inflate undoes zlib (RFC 1950): one stream, nothing after it, at most maxMessage bytes.
func inflate(compressed []byte) ([]byte, error) {
	rest := bytes.NewReader(compressed)
	stream, err := zlib.NewReader(rest)
	if err != nil {
		return nil, fmt.Errorf("read the zlib header: %w", err)
	}
	defer stream.Close()
	message, err := io.ReadAll(io.LimitReader(stream, maxMessage+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("inflate: %w", err)
	case len(message) > maxMessage:
		return nil, fmt.Errorf("inflates to more than %d bytes", maxMessage)
	case rest.Len() > 0:
		return nil, fmt.Errorf("%d bytes follow the zlib stream", rest.Len())
	case len(message) == 0:
		return nil, errors.New("the zlib stream is empty")
	}
	return message, nil
}
