package setup

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/bulla-id/bulla/circuits"
	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/credential"
)

// indexFile says which files are the keys of a circuit.
type indexFile struct {
	Version      int               `json:"version"`
	Development  bool              `json:"development"` // always true: whoever made these keys could forge
	Circuit      credential.Digest `json:"circuit"`
	VerifyingKey credential.Digest `json:"verifying_key"`
	ProvingKey   credential.Digest `json:"proving_key"` // of the whole file
}

const indexVersion = 1

func indexPath(dir, circuit string) string { return filepath.Join(dir, circuit+".json") }

// fileName is the name of a key file, by its digest, so that two makers never overwrite one another.
func fileName(circuit string, digest credential.Digest, extension string) string {
	return fmt.Sprintf("%s.%x.%s", circuit, digest[:4], extension)
}

// readIndex reads the index of a circuit. A missing one is os.ErrNotExist.
func readIndex(dir, circuit string) (indexFile, error) {
	f, err := os.Open(indexPath(dir, circuit))
	if err != nil {
		return indexFile{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return indexFile{}, damaged(err)
	}
	var index indexFile
	if err := credential.ParseCanonical(data, &index); err != nil {
		return indexFile{}, fmt.Errorf("index: %w", err)
	}
	if index.Version != indexVersion || !index.Development {
		return indexFile{}, fmt.Errorf("index is not one of development keys of version %d", indexVersion)
	}
	return index, nil
}

// write writes both keys and, if there is none by now, the index.
func write(dir string, circuit circuits.Circuit, vk *keys.VerifyingKey, proving []byte) error {
	index := indexFile{indexVersion, true, circuit.Digest, vk.Digest(), credential.DigestOf(proving)}
	if err := writeFile(dir, fileName(circuit.Name, index.VerifyingKey, "verifying"), vk.Bytes(), os.Rename); err != nil {
		return err
	}
	if err := writeFile(dir, fileName(circuit.Name, index.ProvingKey, "proving"), proving, os.Rename); err != nil {
		return err
	}
	data, err := credential.Canonical(index)
	if err != nil {
		return err
	}
	err = writeFile(dir, filepath.Base(indexPath(dir, circuit.Name)), data, os.Link)
	if errors.Is(err, os.ErrExist) {
		return nil // another process was first, and its keys are as good
	}
	return err
}

// writeFile writes a temporary file, syncs it, and puts it in place: by rename, or by a link that fails if the name is
// taken.
func writeFile(dir, name string, data []byte, place func(from, to string) error) error {
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // after a rename there is nothing to remove
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := place(f.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes a new name durable, where the platform can.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, os.ErrInvalid) {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}
