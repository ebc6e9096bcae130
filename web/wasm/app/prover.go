package app

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/enrolment"
	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/circuits/presentation"
	"github.com/bulla-id/bulla/circuits/proving"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/wallet"
)

// prover makes the proofs of one circuit.
type prover struct {
	made *proving.Prover
	key  credential.Digest // of the verifying key
}

// stopwatch is the key of a context's milliseconds of proving.
type stopwatch struct{}

func withStopwatch(ctx context.Context) context.Context {
	return context.WithValue(ctx, stopwatch{}, new(atomic.Int64))
}

// stopwatchOf is the context's, or one that nobody reads.
func stopwatchOf(ctx context.Context) *atomic.Int64 {
	if took, ok := ctx.Value(stopwatch{}).(*atomic.Int64); ok {
		return took
	}
	return new(atomic.Int64)
}

// timed adds how long a proof took.
func timed(ctx context.Context, prove func() ([]byte, error)) ([]byte, error) {
	begun := time.Now()
	proof, err := prove()
	stopwatchOf(ctx).Add(time.Since(begun).Milliseconds())
	return proof, err
}

// ProvePresentation implements [wallet.Prover].
func (p *prover) ProvePresentation(ctx context.Context, public presentation.Public, private presentation.Private) ([]byte, error) {
	return timed(ctx, func() ([]byte, error) { return p.made.ProvePresentation(ctx, public, private) })
}

// ProveEnrolment implements [wallet.Prover].
func (p *prover) ProveEnrolment(ctx context.Context, public enrolment.Public, private enrolment.Private) ([]byte, error) {
	return timed(ctx, func() ([]byte, error) { return p.made.ProveEnrolment(ctx, public, private) })
}

// proverOf implements [wallet.Provers].
func (a *App) proverOf(ctx context.Context, circuit string, verifyingKey credential.Digest) (wallet.Prover, error) {
	p, err := a.load(ctx, circuit)
	if err != nil {
		return nil, err
	}
	if p.key != verifyingKey {
		return nil, fmt.Errorf("the proving key of %s is not of the chain's key %s", circuit, verifyingKey)
	}
	return p, nil
}

// prepare loads the provers that a request needs while the person reads it. What fails is tried again when they agree.
func (a *App) prepare(request *wallet.Request) {
	for i := range request.Policy().Queries {
		_, _ = a.load(context.Background(), request.Policy().Queries[i].CircuitName())
	}
}

// load makes the prover of a circuit, once.
func (a *App) load(ctx context.Context, circuit string) (*prover, error) {
	a.loading.Lock()
	defer a.loading.Unlock()
	if p, ok := a.provers[circuit]; ok {
		return p, nil
	}
	known, err := circuits.Named(circuit)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(a.cfg.Keys, func(k Key) bool { return k.Circuit == circuit })
	if i < 0 {
		return nil, fmt.Errorf("this wallet has no proving key of %s", circuit)
	}
	key, file, err := a.fetch(ctx, a.cfg.Keys[i], known)
	if err != nil {
		return nil, err
	}
	cfg := proving.Config{Key: key}
	if a.cfg.Help != nil && circuit != circuits.Enrolment { // which takes no longer than to ask for help
		cfg.Helpers = a.cfg.Help(a.cfg.Keys[i], file)
	}
	made, err := proving.New(cfg)
	if err != nil {
		return nil, err
	}
	a.provers[circuit] = &prover{made, key.VerifyingKey()}
	return a.provers[circuit], nil
}

// fetch gets a key's file, and once more if what was kept of it is not what it should be.
func (a *App) fetch(ctx context.Context, k Key, circuit circuits.Circuit) (*keys.ProvingKey, []byte, error) {
	var failed error
	for _, fresh := range []bool{false, true} {
		data, err := a.cfg.Fetch(ctx, k, fresh)
		if err != nil {
			return nil, nil, fmt.Errorf("fetch the proving key of %s: %w", k.Circuit, err)
		}
		key, err := keys.ParseProvingKey(data, circuit, k.File)
		if err == nil {
			return key, data, nil
		}
		failed = err
	}
	return nil, nil, failed
}
