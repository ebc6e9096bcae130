package ceremony

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/consensys/gnark/backend/groth16/bn254/mpcsetup"

	"github.com/bulla-id/bulla/circuits/compiling"
	"github.com/bulla-id/bulla/credential"
)

// A state file is what one contributor hands to the next:
//
//	8 bytes   "bullacer"
//	1 byte    format version, 1
//	1 byte    phase, 1 or 2
//	4 bytes   number of the contribution, big endian; 0 for the start of a phase
//	32 bytes  digest of the plan
//	32 bytes  digest of the state file before: of the last one of phase 1 for the start of phase 2, zero for that of phase 1
//	1 byte    length of the contributor's name, 0 for a start
//	          the name, UTF-8
//	          phase 1: gnark's Phase1; phase 2: gnark's Phase2 of each circuit, in the plan's order
//
// gnark writes points compressed. The length of the file follows from plan, phase and name.
const (
	magic      = "bullacer"
	headerSize = len(magic) + 1 + 1 + 4 + 32 + 32 + 1 // without the name
)

// The lengths of gnark's parts, in bytes.
const (
	g1Size        = 32
	g2Size        = 64
	proofSize     = g1Size + g2Size // that a contributor knew their factor
	challengeSize = 32              // SHA-256 of gnark's serialisation of the state before; none in a start
)

type header struct {
	phase, number  int
	plan, previous credential.Digest
	name           string
}

func (h header) size() int { return headerSize + len(h.name) }

func (h header) append(b []byte) []byte {
	b = append(b, magic...)
	b = append(b, version, byte(h.phase))
	b = binary.BigEndian.AppendUint32(b, uint32(h.number))
	b = append(b, h.plan[:]...)
	b = append(b, h.previous[:]...)
	b = append(b, byte(len(h.name)))
	return append(b, h.name...)
}

// compare finds in which way the beginning of a file is not this header.
func (h header) compare(data []byte) error {
	if bytes.HasPrefix(data, h.append(nil)) {
		return nil
	}
	if len(data) < h.size() || !bytes.HasPrefix(data, []byte(magic)) {
		return errors.New("this is no state file")
	}
	if v := data[len(magic)]; v != version {
		return fmt.Errorf("state file of version %d, this program reads %d", v, version)
	}
	rest := data[len(magic)+1:]
	switch {
	case int(rest[0]) != h.phase || binary.BigEndian.Uint32(rest[1:]) != uint32(h.number):
		return fmt.Errorf("the file is of contribution %d to phase %d", binary.BigEndian.Uint32(rest[1:]), rest[0])
	case !bytes.Equal(rest[5:37], h.plan[:]):
		return errors.New("the file is of another ceremony")
	case !bytes.Equal(rest[37:69], h.previous[:]):
		return fmt.Errorf("the file is built on %s, not on the state before it", credential.Digest(rest[37:69]))
	}
	return errors.New("the file bears another name")
}

// state is what a phase has come to.
type state interface {
	io.WriterTo
	contribute()
	verify(next state) error // next may be refused, and is otherwise unchanged
}

// powers is a state of phase 1.
type powers struct{ *mpcsetup.Phase1 }

func newPowers(n int) powers { return powers{mpcsetup.NewPhase1(uint64(n))} }

func (p powers) contribute() { p.Contribute() }

func (p powers) verify(next state) error { return p.Verify(next.(powers).Phase1) }

// circuitStates is a state of phase 2, a part for each circuit.
type circuitStates []*mpcsetup.Phase2

func (s circuitStates) WriteTo(w io.Writer) (total int64, err error) {
	for _, p := range s {
		n, err := p.WriteTo(w)
		if total += n; err != nil {
			return total, err
		}
	}
	return total, nil
}

func (s circuitStates) contribute() {
	for _, p := range s {
		p.Contribute()
	}
}

func (s circuitStates) verify(next state) error {
	for i, p := range s {
		if err := p.Verify(next.(circuitStates)[i]); err != nil {
			return fmt.Errorf("circuit %d: %w", i+1, err)
		}
	}
	return nil
}

// encodeState makes a state file.
func encodeState(h header, s state) ([]byte, error) {
	buf := bytes.NewBuffer(h.append(nil))
	if _, err := s.WriteTo(buf); err != nil {
		return nil, fmt.Errorf("serialise state: %w", err)
	}
	return buf.Bytes(), nil
}

// challengeOf is the length of the challenge with the byte before it.
func (h header) challenge() int {
	if h.number == 0 {
		return 1
	}
	return 1 + challengeSize
}

// powersSize is the length of gnark's Phase1: three proofs, the number n, β in G2, τ to τ^(2n-2) in G1, τ to τ^(n-1) in
// G2, βτ^i and ατ^i in G1 for i < n, the challenge.
func (h header) powersSize(n int) int {
	return 3*proofSize + 8 + g2Size + (2*n-2)*g1Size + (n-1)*g2Size + 2*n*g1Size + h.challenge()
}

// circuitSize is the length of gnark's Phase2: the number of commitments, δ in G1, the private wires, the multiples of
// the vanishing polynomial, δ in G2, a proof, the challenge.
func (h header) circuitSize(s *compiling.System) int {
	return 2 + g1Size + 4 + privateWires(s)*g1Size + 4 + (domain(s.Circuit)-1)*g1Size + g2Size + proofSize + h.challenge()
}

func privateWires(s *compiling.System) int {
	internal, secret, _ := s.R1CS.GetNbVariables()
	return internal + secret
}

// stateSize is the length of a whole state file.
func (c *Ceremony) stateSize(h header) int {
	if h.phase == 1 {
		return h.size() + h.powersSize(c.transcript.Plan.Powers)
	}
	size := h.size()
	for _, s := range c.systems {
		size += h.circuitSize(s)
	}
	return size
}

// decodeState reads a state file, canonical and whole or not at all: the length must be right before anything is
// decoded, every count in it must be the expected one, every point compressed, on the curve and in the subgroup.
func (c *Ceremony) decodeState(h header, data []byte) (state, error) {
	if want := c.stateSize(h); len(data) != want {
		return nil, fmt.Errorf("the file has %d bytes, want %d", len(data), want)
	}
	if err := h.compare(data); err != nil {
		return nil, err
	}
	rest := data[h.size():]
	if h.phase == 1 {
		return h.decodePowers(c.transcript.Plan.Powers, rest)
	}
	var out circuitStates
	for _, s := range c.systems {
		size := h.circuitSize(s)
		p, err := h.decodeCircuit(s, rest[:size])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Circuit.Name, err)
		}
		out, rest = append(out, p), rest[size:]
	}
	return out, nil
}

func (h header) decodePowers(n int, data []byte) (state, error) {
	if got := binary.BigEndian.Uint64(data[3*proofSize:]); got != uint64(n) {
		return nil, fmt.Errorf("%d powers, want %d", got, n)
	}
	p := new(mpcsetup.Phase1)
	return powers{p}, h.decode(p, data)
}

func (h header) decodeCircuit(s *compiling.System, data []byte) (*mpcsetup.Phase2, error) {
	private, multiples := privateWires(s), domain(s.Circuit)-1
	at := 2 + g1Size
	next := at + 4 + private*g1Size
	switch {
	case binary.BigEndian.Uint16(data) != 0:
		return nil, errors.New("the state has commitments, and no circuit of ours makes any")
	case binary.BigEndian.Uint32(data[at:]) != uint32(private):
		return nil, fmt.Errorf("%d private wires, want %d", binary.BigEndian.Uint32(data[at:]), private)
	case binary.BigEndian.Uint32(data[next:]) != uint32(multiples):
		return nil, fmt.Errorf("%d multiples of the vanishing polynomial, want %d", binary.BigEndian.Uint32(data[next:]), multiples)
	}
	p := new(mpcsetup.Phase2)
	return p, h.decode(p, data)
}

// gnarkState is gnark's Phase1 or Phase2.
type gnarkState interface {
	io.ReaderFrom
	io.WriterTo
}

// decode lets gnark read, which checks the subgroup of each point, and then write again: gnark would also take points
// that are not compressed, and a contribution without a challenge.
func (h header) decode(s gnarkState, data []byte) error {
	if got, want := int(data[len(data)-h.challenge()]), h.challenge()-1; got != want {
		return fmt.Errorf("challenge of %d bytes, want %d", got, want)
	}
	if _, err := s.ReadFrom(bytes.NewReader(data)); err != nil {
		return fmt.Errorf("read points: %w", err)
	}
	again := bytes.NewBuffer(make([]byte, 0, len(data)))
	if _, err := s.WriteTo(again); err != nil {
		return fmt.Errorf("write points again: %w", err)
	}
	if !bytes.Equal(again.Bytes(), data) {
		return errors.New("the points are not in the form we write")
	}
	return nil
}

// expected is the header of a state file according to the transcript, and its digest.
func (c *Ceremony) expected(phase, number int) (header, credential.Digest) {
	h := header{phase: phase, number: number, plan: c.transcript.Plan.digest()}
	p := c.transcript.Phases[phase-1]
	if number > 0 {
		line := p.Contributions[number-1]
		h.name = line.Name
		h.previous = c.transcript.Phases[phase-1].digest(number - 1)
		return h, line.Digest
	}
	if phase == 2 {
		h.previous = c.transcript.Phases[0].last()
	}
	return h, p.Start
}

// digest is that of a state file, by the number of the contribution or 0.
func (p *Phase) digest(number int) credential.Digest {
	if number == 0 {
		return p.Start
	}
	return p.Contributions[number-1].Digest
}

// last is the digest of the last state file.
func (p *Phase) last() credential.Digest { return p.digest(len(p.Contributions)) }

// readState reads a state file that the transcript names. What is wrong with it is a [Fault]; that it cannot be read is
// not.
func (c *Ceremony) readState(phase, number int) (state, error) {
	h, digest := c.expected(phase, number)
	data, err := readFile(c.statePath(phase, number), c.stateSize(h))
	if err != nil {
		return nil, fmt.Errorf("contribution %d to phase %d: %w", number, phase, err)
	}
	fault := func(err error) (state, error) { return nil, &Fault{phase, number, h.name, err} }
	if number > 0 {
		if line := c.transcript.Phases[phase-1].Contributions[number-1]; line.Previous != h.previous {
			return fault(fmt.Errorf("it is built on %s, not on the state before it", line.Previous))
		}
	}
	s, err := c.decodeState(h, data)
	if err != nil {
		return fault(err)
	}
	if got := credential.DigestOf(data); got != digest {
		return fault(fmt.Errorf("the file has the digest %s, the transcript says %s", got, digest))
	}
	return s, nil
}

// readFile reads a file, but not much more than expected.
func readFile(path string, size int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, int64(size)+1))
}
