//go:build !unix

package wallet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// lock makes a file that must not be there yet, where the system has no advisory locks. A process that was killed while
// saving leaves it behind: then the error says which file to delete.
func lock(path string) (unlock func() error, err error) {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		switch {
		case err == nil:
			return func() error { return errors.Join(f.Close(), os.Remove(path)) }, nil
		case !errors.Is(err, fs.ErrExist):
			return nil, err
		case time.Now().After(deadline):
			return nil, fmt.Errorf("another process holds %s; if none runs, delete that file", path)
		}
	}
}
