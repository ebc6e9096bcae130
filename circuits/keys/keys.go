// Package keys reads and writes the files of verifying keys and proving keys.
//
// Both begin with a header:
//
//	8 bytes   "bullakey"
//	1 byte    format version, 1
//	1 byte    kind: 1 verifying key, 2 proving key
//	32 bytes  digest of the circuit that the key belongs to
//
// A verifying key follows with its points, compressed as gnark-crypto does (32 bytes in G1, 64 in G2), in gnark's order:
// α1, β1, β2, γ2, δ1, δ2, then the number of public inputs plus one as u32 big endian and that many points K in G1, then
// eight zero bytes where gnark would list commitments, which our circuits have none of. The SHA-256 of these bytes,
// header included, is the verifying key's digest, by which genesis and governance accept it.
//
// A proving key follows with the digest of its verifying key (32 bytes) and gnark's uncompressed serialisation, which
// loads in some 10 ms on any platform because no point is checked. So it must be pinned: it is read only against the
// expected SHA-256 of the whole file. Whoever can choose our proving key can make us prove what nobody accepts, or leak
// private inputs; whoever can choose our verifying key can make us accept everything.
package keys

import (
	"bytes"
	"fmt"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/credential"
)

const (
	magic   = "bullakey"
	version = 1

	headerSize = len(magic) + 2 + len(credential.Digest{})
)

// kind tells the two files apart.
type kind byte

const (
	verifying kind = 1
	proving   kind = 2
)

func appendHeader(b []byte, k kind, circuit credential.Digest) []byte {
	b = append(b, magic...)
	b = append(b, version, byte(k))
	return append(b, circuit[:]...)
}

// parseHeader returns the circuit, which must be published, and what follows.
func parseHeader(data []byte, k kind) (circuits.Circuit, []byte, error) {
	if len(data) < headerSize || !bytes.HasPrefix(data, []byte(magic)) {
		return circuits.Circuit{}, nil, fmt.Errorf("this is no key file")
	}
	if v := data[len(magic)]; v != version {
		return circuits.Circuit{}, nil, fmt.Errorf("key file of version %d, this program reads %d", v, version)
	}
	if got := kind(data[len(magic)+1]); got != k {
		return circuits.Circuit{}, nil, fmt.Errorf("key file of kind %d, want %d (1 verifying key, 2 proving key)", got, k)
	}
	circuit, err := circuits.WithDigest(credential.Digest(data[len(magic)+2 : headerSize]))
	return circuit, data[headerSize:], err
}
