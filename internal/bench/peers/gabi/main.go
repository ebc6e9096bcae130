// Command gabi is Idemix as Yivi uses it, for `make bench-peers`: a credential of six attributes under a 2048-bit key;
// one attribute is disclosed, another is at least a bound, and the credential is not revoked. It answers each line
// "prove" or "verify" on standard input with a line of JSON.
package main

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	stdbig "math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/privacybydesign/gabi"
	"github.com/privacybydesign/gabi/big"
	"github.com/privacybydesign/gabi/gabikeys"
	"github.com/privacybydesign/gabi/rangeproof"
	"github.com/privacybydesign/gabi/revocation"
)

// The credential: the secret, four claims, and the prime by which it can be revoked.
const (
	keyBits    = 2048
	attributes = 6
	disclosed  = 1
	ranged     = 2
	age        = 40 // what is proven to be at least adult
	adult      = 18
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gabi:", err)
		os.Exit(1)
	}
}

// run takes the folder where the key is kept, as its safe primes take long to find.
func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: gabi FOLDER")
	}
	s, err := newShowing(args[0])
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(map[string]any{"ready": true}); err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		do := s.prove
		switch lines.Text() {
		case "prove":
		case "verify":
			do = s.verify
		default:
			return fmt.Errorf("%q is neither prove nor verify", lines.Text())
		}
		start := time.Now()
		if err := do(); err != nil {
			return fmt.Errorf("%s: %w", lines.Text(), err)
		}
		took := time.Since(start)
		size, err := s.size()
		if err != nil {
			return err
		}
		if err := out.Encode(map[string]any{"ms": took.Seconds() * 1000, "size": size}); err != nil {
			return err
		}
	}
	return lines.Err()
}

// showing is a credential, what is asked, and the last proof.
type showing struct {
	public         *gabikeys.PublicKey
	credential     *gabi.Credential
	statement      *rangeproof.Statement
	context, nonce *big.Int
	proof          *gabi.ProofD
}

func newShowing(dir string) (*showing, error) {
	private, public, err := loadKeys(dir)
	if err != nil {
		return nil, err
	}
	witness, err := newWitness(private, public)
	if err != nil {
		return nil, err
	}
	values := make([]*big.Int, attributes)
	for i := range values {
		if values[i], err = random(public.Params.Lm - 1); err != nil {
			return nil, err
		}
	}
	values[ranged], values[attributes-1] = big.NewInt(age), witness.E
	signature, err := gabi.SignMessageBlock(private, public, values)
	if err != nil {
		return nil, fmt.Errorf("sign the credential: %w", err)
	}
	s := &showing{public: public, credential: &gabi.Credential{
		Signature: signature, Pk: public, Attributes: values, NonRevocationWitness: witness,
	}}
	if s.statement, err = rangeproof.NewStatement(rangeproof.GreaterOrEqual, big.NewInt(adult)); err != nil {
		return nil, err
	}
	if s.context, err = random(public.Params.Lh); err != nil {
		return nil, err
	}
	s.nonce, err = random(public.Params.Lstatzk)
	return s, err
}

// newWitness opens an accumulator and takes a witness of it.
func newWitness(private *gabikeys.PrivateKey, public *gabikeys.PublicKey) (*revocation.Witness, error) {
	update, err := revocation.NewAccumulator(private)
	if err != nil {
		return nil, err
	}
	accumulator, err := update.SignedAccumulator.UnmarshalVerify(public)
	if err != nil {
		return nil, err
	}
	witness, err := revocation.RandomWitness(private, accumulator)
	if err != nil {
		return nil, err
	}
	witness.SignedAccumulator = update.SignedAccumulator
	return witness, witness.Verify(public)
}

// prove makes the proof from nothing prepared: what gabi can do ahead for revocation is part of it.
func (s *showing) prove() (err error) {
	statements := map[int][]*rangeproof.Statement{ranged: {s.statement}}
	s.proof, err = s.credential.CreateDisclosureProof([]int{disclosed}, statements, true, s.context, s.nonce)
	return err
}

func (s *showing) verify() error {
	keys := []*gabikeys.PublicKey{s.public}
	if !(gabi.ProofList{s.proof}).Verify(keys, s.context, s.nonce, false, nil) {
		return errors.New("the proof is refused")
	}
	if !s.proof.HasNonRevocationProof() || len(s.proof.RangeProofs[ranged]) != 1 || !s.proof.RangeProofs[ranged][0].Proves(s.statement) {
		return errors.New("the proof proves something else")
	}
	return nil
}

// size is that of the proof as gabi writes it, in bytes.
func (s *showing) size() (int, error) {
	text, err := json.Marshal(s.proof)
	return len(text), err
}

// loadKeys reads the keys from a folder, or makes them there.
func loadKeys(dir string) (*gabikeys.PrivateKey, *gabikeys.PublicKey, error) {
	privatePath, publicPath := filepath.Join(dir, "gabi.private.xml"), filepath.Join(dir, "gabi.public.xml")
	private, err := gabikeys.NewPrivateKeyFromFile(privatePath, true)
	if err == nil {
		public, err := gabikeys.NewPublicKeyFromFile(publicPath)
		return private, public, err
	}
	fmt.Fprintln(os.Stderr, "gabi: looking for safe primes (once; a minute or a few)")
	private, public, err := gabikeys.GenerateKeyPair(gabikeys.DefaultSystemParameters[keyBits], attributes, 0, time.Now().AddDate(1, 0, 0))
	if err != nil {
		return nil, nil, fmt.Errorf("make keys: %w", err)
	}
	if !private.RevocationSupported() {
		if err := gabikeys.GenerateRevocationKeypair(private, public); err != nil {
			return nil, nil, fmt.Errorf("make keys of revocation: %w", err)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	if _, err := public.WriteToFile(publicPath, true); err != nil {
		return nil, nil, err
	}
	_, err = private.WriteToFile(privatePath, true)
	return private, public, err
}

func random(bits uint) (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(stdbig.Int).Lsh(stdbig.NewInt(1), bits))
	if err != nil {
		return nil, err
	}
	return big.Convert(n), nil
}
