package setup_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/circuitstest"
	"github.com/bulla-id/bulla/circuits/setup"
	"github.com/bulla-id/bulla/credential"
)

// stocked is a folder with a copy of the tests' keys, so that not every test runs a setup.
func stocked(t *testing.T) (dir string, vk credential.Digest) {
	t.Helper()
	path, _, err := circuitstest.Keys(t).ProvingKeyFile(circuits.Enrolment)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Dir(path))); err != nil {
		t.Fatal(err)
	}
	return dir, circuitstest.VerifyingKey(t, circuits.Enrolment).Digest()
}

func develop(t *testing.T, dir string) (d *setup.Development, stages []string) {
	t.Helper()
	last := 0
	d, err := setup.Develop(t.Context(), dir, func(stage string, done, total int) {
		if done < last || done > total {
			t.Errorf("%s: %d of %d done, after %d", stage, done, total, last)
		}
		last = done
		stages = append(stages, stage)
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(stages) == 0 || last != 3*len(circuits.Published()) {
		t.Errorf("progress ends at %d", last)
	}
	return d, stages
}

func digest(t *testing.T, d *setup.Development) credential.Digest {
	t.Helper()
	vk, err := d.VerifyingKey(circuits.Enrolment)
	if err != nil {
		t.Fatal(err)
	}
	return vk.Digest()
}

func TestKeysAreKept(t *testing.T) {
	dir, want := stocked(t)
	d, stages := develop(t, dir)
	if digest(t, d) != want {
		t.Error("keys that fit were made anew")
	}
	if strings.Contains(strings.Join(stages, "\n"), "set up") {
		t.Errorf("stages %q", stages)
	}
	pk, err := d.ProvingKey(circuits.Enrolment)
	if err != nil {
		t.Fatal(err)
	}
	if pk.VerifyingKey() != want {
		t.Error("the proving key belongs to another verifying key")
	}
	if _, err := d.ProvingKey("presentation-0"); err == nil {
		t.Error("keys of an unknown circuit")
	}
	if _, err := d.VerifyingKey("presentation-0"); err == nil {
		t.Error("keys of an unknown circuit")
	}
}

// Whatever is damaged is made anew, and said.
func TestLoadMakesNone(t *testing.T) {
	dir, want := stocked(t)
	d, err := setup.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if digest(t, d) != want {
		t.Error("other keys were loaded")
	}
	empty := t.TempDir()
	if _, err := setup.Load(empty); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("empty folder: %v", err)
	}
	if files, err := os.ReadDir(empty); err != nil || len(files) > 0 {
		t.Errorf("empty folder has %d files now, %v", len(files), err)
	}
}

func TestDamagedKeysAreMadeAnew(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, dir, proving string){
		"a flipped bit": func(t *testing.T, dir, proving string) {
			data, err := os.ReadFile(proving)
			if err != nil {
				t.Fatal(err)
			}
			data[1000] ^= 1
			if err := os.WriteFile(proving, data, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"a missing file": func(t *testing.T, dir, proving string) {
			if err := os.Remove(proving); err != nil {
				t.Fatal(err)
			}
		},
		"a cut index": func(t *testing.T, dir, proving string) {
			if err := os.Truncate(filepath.Join(dir, circuits.Enrolment+".json"), 20); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, before := stocked(t)
			d, _ := develop(t, dir)
			proving, _, err := d.ProvingKeyFile(circuits.Enrolment)
			if err != nil {
				t.Fatal(err)
			}
			damage(t, dir, proving)
			d, stages := develop(t, dir)
			after := digest(t, d)
			if after == before {
				t.Error("the keys are those from before")
			}
			if !strings.Contains(strings.Join(stages, "\n"), "do not fit") {
				t.Errorf("stages %q do not tell", stages)
			}
			if d, _ := develop(t, dir); digest(t, d) != after {
				t.Error("the new keys are not kept")
			}
			if left, _ := filepath.Glob(filepath.Join(dir, ".new-*")); len(left) != 0 {
				t.Errorf("temporary files are left: %v", left)
			}
		})
	}
}

// All who ask at once get the same keys.
func TestConcurrentCallers(t *testing.T) {
	dir, _ := stocked(t)
	if err := os.Remove(filepath.Join(dir, circuits.Enrolment+".json")); err != nil {
		t.Fatal(err)
	}
	var digests [4]credential.Digest
	var wg sync.WaitGroup
	for i := range digests {
		wg.Go(func() {
			d, err := setup.Develop(t.Context(), dir, nil)
			if err != nil {
				t.Error(err)
				return
			}
			digests[i] = digest(t, d)
		})
	}
	wg.Wait()
	for _, d := range digests {
		if d != digests[0] {
			t.Errorf("callers got %v", digests)
		}
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := setup.Develop(ctx, t.TempDir(), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want Canceled", err)
	}
}
