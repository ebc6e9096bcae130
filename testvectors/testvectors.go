// Package testvectors makes the files beside it: what every implementation of our formats must compute, accept and
// refuse. README.md has the format. The files are made from the code under test, with fixed seeds, and checked by other
// code in check/.
//
// To add a file, write a function that returns what stands in it, and list it in Files. The vectors of circuits and
// proofs have packages of their own, statements and proofs, as they import the circuits.
package testvectors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"unicode/utf16"

	"github.com/bulla-id/bulla/credential"
)

//go:generate go run ./generate -out .

// File is one file of vectors, named as it lies beside this package.
type File struct {
	Name string
	make func() (any, error)
}

// Files are all files that can be made again, byte for byte.
var Files = []File{
	{"c4.json", c4Vectors},
	{"encodings.json", encodingVectors},
	{"canonical-json.json", canonicalVectors},
	{"trees.json", treeVectors},
	{"policies.json", policyVectors},
	{"sd-jwt.json", sdjwtVectors},
	{"status-list.json", statusListVectors},
}

// Make returns the bytes of the file. It fails if the code accepts what the vectors call bad, or refuses what they
// call good.
func (f File) Make() ([]byte, error) {
	content, err := f.make()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(content); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	return ascii(buf.String()), nil
}

// ascii escapes everything else, so that no editor normalises what is meant to be odd.
func ascii(text string) []byte {
	var out []byte
	for _, r := range text {
		if r < 0x80 {
			out = append(out, byte(r))
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			out = fmt.Appendf(out, "\\u%04x", unit)
		}
	}
	return out
}

// expect is the expect member of a vector, the layer that refuses or nothing, if that is also what the code says.
func expect(name string, err error, layer string) (string, error) {
	switch {
	case err == nil && layer != "":
		return "", fmt.Errorf("%s: accepted, want a refusal by %s", name, layer)
	case err != nil && layer == "":
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return layer, nil
}

// hexElement is an element as 64 lowercase digits, as files have it.
type hexElement credential.Element

func (e hexElement) MarshalText() ([]byte, error) { return []byte(credential.Element(e).Hex()), nil }

func hexElements(in []credential.Element) []hexElement {
	out := make([]hexElement, len(in))
	for i, e := range in {
		out[i] = hexElement(e)
	}
	return out
}

// hexOf is the element, or nil for none, so that the member is left out.
func hexOf(e credential.Element, err error) *hexElement {
	if err != nil {
		return nil
	}
	h := hexElement(e)
	return &h
}

// seeded is a source of randomness that is the same each time, one for each purpose.
func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0xb0117a)) }

// random draws an element below 2^248; wide ones come from the list of edges.
func random(r *rand.Rand) credential.Element {
	return credential.F("testvectors", fmt.Appendf(nil, "%d %d", r.Uint64(), r.Uint64()))
}

// edge is the modulus less some small number.
func edge(below uint64) credential.Element {
	zero, n := credential.Element{}.Fr(), credential.ElementFromUint64(below).Fr()
	zero.Sub(&zero, &n)
	return credential.ElementFromFr(zero)
}
