//go:build !unix

package main

import "errors"

// diskSpace cannot tell here.
func diskSpace(string) (free, total uint64, err error) {
	return 0, 0, errors.New("the free space cannot be read on this system")
}
