package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/circuits/proving"
	"github.com/bulla-id/bulla/credential"
)

// coldFile tells another process what to prove. The secrets in it are drawn for the measurement.
type coldFile struct {
	Circuit    string
	ProvingKey string // path
	Digest     credential.Digest
	Inputs     *inputs
}

func (p *proofs) writeCold(path, circuit string) error {
	in, err := p.inputs()
	if err != nil {
		return err
	}
	keys, err := p.keys()
	if err != nil {
		return err
	}
	file := coldFile{Circuit: circuit, Inputs: in}
	if file.ProvingKey, file.Digest, err = keys.ProvingKeyFile(circuit); err != nil {
		return err
	}
	text, err := json.Marshal(file)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// ProveCold does what a wallet does for its first proof: it loads the proving key, compiles the circuit and proves. path
// is the file that [Config.Cold] was given. It says what it made, and took.
func ProveCold(ctx context.Context, path string) (cold ColdProof, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return cold, err
	}
	var file coldFile
	if err := json.Unmarshal(text, &file); err != nil {
		return cold, fmt.Errorf("%s: %w", path, err)
	}
	circuit, err := circuits.Named(file.Circuit)
	if err != nil {
		return cold, err
	}
	key, err := keys.LoadProvingKey(file.ProvingKey, circuit, file.Digest)
	if err != nil {
		return cold, err
	}
	prover, err := proving.New(proving.Config{Key: key})
	if err != nil {
		return cold, err
	}
	cold.Proof, err = file.Inputs.prove(ctx, prover)
	_, cold.Peak = memory()
	return cold, err
}
