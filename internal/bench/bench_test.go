package bench

import (
	"context"
	"runtime"
	"strings"
	"testing"
)

func figures(t *testing.T, cfg Config) map[string]Figure {
	t.Helper()
	out := make(map[string]Figure)
	cfg.Report = func(f Figure) {
		if _, twice := out[f.Name]; twice {
			t.Errorf("%s is reported twice", f.Name)
		}
		out[f.Name] = f
	}
	if err := Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	for name, f := range out {
		if !strings.HasPrefix(name, cfg.Only) || f.N < 1 || f.Min > f.Median || f.Median > f.Max || f.Max <= 0 && (runtime.GOOS == "linux" || !strings.HasSuffix(name, "_memory")) || f.Unit == "" {
			t.Errorf("%s: %+v", name, f)
		}
	}
	return out
}

// The smallest circuit stands for all; it has every figure, the cold one from this process.
func TestEnrolmentFigures(t *testing.T) {
	if testing.Short() {
		t.Skip("sets up keys")
	}
	got := figures(t, Config{Runs: 1, Only: "enrolment_", Cold: ProveCold})
	for _, name := range []string{"constraints", "compile", "setup", "solve", "prove_cold", "prove_memory", "prove_warm", "prove_precomputed", "verify", "verify_batch_64", "proof_size", "proving_key_size", "verifying_key_size"} {
		if _, ok := got["enrolment_"+name]; !ok {
			t.Errorf("there is no figure enrolment_%s", name)
		}
	}
	if size := got["enrolment_proof_size"].Median; size != 128 {
		t.Errorf("a proof has %v bytes", size)
	}
}

func TestLedgerFigures(t *testing.T) {
	if testing.Short() {
		t.Skip("submits thousands of entries")
	}
	if got := figures(t, Config{Runs: 1, Only: "ledger_"}); len(got) != 2 {
		t.Errorf("%d figures, want 2", len(got))
	}
}

func TestImportFigure(t *testing.T) {
	if testing.Short() {
		t.Skip("imports a hundred thousand rows")
	}
	if got := figures(t, Config{Runs: 1, Only: "issuer_"}); len(got) != 1 {
		t.Errorf("%d figures, want 1", len(got))
	}
}

// Every figure of the verifier, of fewer people.
func TestVerifierFigures(t *testing.T) {
	if testing.Short() {
		t.Skip("proves")
	}
	list, closed := verifierMeasures(1, 12, t.TempDir(), newProofs(t.Context(), t.TempDir(), func(string) {}))
	defer closed()
	for _, m := range list {
		if f, err := m.measure(t.Context()); err != nil || f.Median <= 0 || !strings.HasPrefix(f.Name, "verifier_") {
			t.Errorf("%s: %+v, %v", m.name, f, err)
		}
	}
	if len(list) != 12 {
		t.Errorf("%d figures, want 12", len(list))
	}
}

// A plain run leaves large chains out; one of a few leaves has all their figures, opened in this process.
func TestScaleFigures(t *testing.T) {
	if testing.Short() {
		t.Skip("writes a chain")
	}
	many := &large{dir: t.TempDir(), entries: 60, commitments: 1000, interval: 1, progress: func(string) {}}
	cfg := Config{Runs: 1, Open: func(_ context.Context, file string) (ColdOpen, error) { return OpenCold(file) }}
	for _, m := range append(many.opening(cfg, ""), many.paths()...) {
		f, err := m.measure(t.Context())
		if err != nil || f.Median <= 0 || !strings.HasPrefix(f.Name, scalePrefix) {
			t.Errorf("%s: %+v, %v", m.name, f, err)
		}
	}
	if many.bytes < int64(many.leaves())*100 || many.took <= 0 {
		t.Errorf("%d bytes for %d leaves in %v", many.bytes, many.leaves(), many.took)
	}
}

func TestTreeFigures(t *testing.T) {
	figures(t, Config{Runs: 1, Only: "c4"})
	figures(t, Config{Runs: 1, Only: "set"})
}

func TestNothingToMeasure(t *testing.T) {
	for _, only := range []string{"unknown", "scal"} {
		if err := Run(t.Context(), Config{Only: only, Report: func(Figure) {}}); err == nil {
			t.Errorf("the prefix %q, which fits nothing, is accepted", only)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Run(ctx, Config{Only: "c4", Report: func(Figure) {}}); err == nil {
		t.Error("a cancelled run goes on")
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		sorted []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{1, 2}, 1.5}, {[]float64{1, 2, 9}, 2}} {
		if got := median(c.sorted); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.sorted, got, c.want)
		}
	}
}
