package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/core/vm/runtime"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
)

// The two errors by which the contracts refuse.
var (
	errProofInvalid    = errors.New("ProofInvalid")
	errInputNotInField = errors.New("PublicInputNotInField")
)

// gasLimit is what a call may use: a third of a block. A precompiled contract that refuses a point takes nearly all.
const gasLimit = 10_000_000

// cost is what a call used: in the contract, and as a transaction of its own with its data.
type cost struct{ execution, transaction uint64 }

func (c cost) String() string {
	return fmt.Sprintf("%d gas, %d as a transaction", c.execution, c.transaction)
}

// contract is a deployed verifier.
type contract struct {
	compiler  string
	size      int
	inputs    int
	deployGas uint64
	address   common.Address
	state     *state.StateDB
}

// deploy reads what the compiler made and runs its creation code, under the rules of Cancun.
func deploy(path string) (*contract, error) {
	var compiled struct {
		Compiler string            `json:"compiler"`
		Creation string            `json:"creation"`
		Size     int               `json:"size"`
		Methods  map[string]string `json:"methods"`
	}
	if err := readJSON(path, &compiled); err != nil {
		return nil, err
	}
	code, err := hex.DecodeString(compiled.Creation)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	c := &contract{compiler: compiled.Compiler, size: compiled.Size}
	if c.inputs, err = countInputs(compiled.Methods); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if c.state, err = state.New(types.EmptyRootHash, state.NewDatabaseForTesting()); err != nil {
		return nil, err
	}
	_, address, left, err := runtime.Create(code, c.config())
	if err != nil {
		return nil, fmt.Errorf("deploy: %w", err)
	}
	c.address, c.deployGas = address, gasLimit-left
	return c, nil
}

// countInputs takes the number of public inputs from the signature verifyProof(bytes,uint256[N]).
func countInputs(methods map[string]string) (n int, err error) {
	for signature := range methods {
		if _, err := fmt.Sscanf(signature, "verifyProof(bytes,uint256[%d])", &n); err == nil {
			return n, nil
		}
	}
	return 0, errors.New("the contract has no method verifyProof")
}

func (c *contract) config() *runtime.Config {
	return &runtime.Config{State: c.state, GasLimit: gasLimit}
}

// verify calls verifyProof.
func (c *contract) verify(v *vector) (cost, error) {
	if len(v.public) != c.inputs {
		return cost{}, fmt.Errorf("%d public inputs, the contract takes %d", len(v.public), c.inputs)
	}
	// The proof's bytes stand last; their place comes first.
	place, length := big.NewInt(int64(wordSize*(1+c.inputs))), big.NewInt(int64(len(v.proof)*wordSize))
	signature := fmt.Sprintf("verifyProof(bytes,uint256[%d])", c.inputs)
	_, used, err := c.call(signature, words(place), words(v.public...), words(length), words(v.proof[:]...))
	return used, err
}

// verifyCompressed has the contract compress the proof, and verifies that. The cost is that of verifying.
func (c *contract) verifyCompressed(v *vector) (cost, error) {
	compressed, _, err := c.call("compressProof(bytes)", words(big.NewInt(wordSize), big.NewInt(int64(len(v.proof)*wordSize))), words(v.proof[:]...))
	if err != nil {
		return cost{}, fmt.Errorf("compress: %w", err)
	}
	if len(compressed) != 4*wordSize {
		return cost{}, fmt.Errorf("compress: %d bytes, want %d", len(compressed), 4*wordSize)
	}
	_, used, err := c.call(fmt.Sprintf("verifyCompressedProof(uint256[4],uint256[%d])", c.inputs), compressed, words(v.public...))
	return used, err
}

// call runs a method. An error of the contract's own is [errProofInvalid] or [errInputNotInField].
func (c *contract) call(signature string, arguments ...[]byte) ([]byte, cost, error) {
	data := slices.Concat(selector(signature), slices.Concat(arguments...))
	out, left, err := runtime.Call(c.address, data, c.config())
	if errors.Is(err, vm.ErrExecutionReverted) {
		for _, own := range []error{errProofInvalid, errInputNotInField} {
			if bytes.Equal(out, selector(own.Error()+"()")) {
				return nil, cost{}, own
			}
		}
		return nil, cost{}, fmt.Errorf("%s: %w with %x", signature, err, out)
	}
	if err != nil {
		return nil, cost{}, fmt.Errorf("%s: %w", signature, err)
	}
	used := gasLimit - left
	return out, cost{used, used + dataGas(data)}, nil
}

func selector(signature string) []byte { return crypto.Keccak256([]byte(signature))[:4] }

// dataGas is what a transaction costs before its call starts.
func dataGas(data []byte) uint64 {
	zeros := uint64(bytes.Count(data, []byte{0}))
	return params.TxGas + zeros*params.TxDataZeroGas + (uint64(len(data))-zeros)*params.TxDataNonZeroGasEIP2028
}
