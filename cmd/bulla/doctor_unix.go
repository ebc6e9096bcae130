//go:build unix

package main

import (
	"fmt"
	"syscall"
)

// diskSpace is what is free for us and what there is, in bytes.
func diskSpace(folder string) (free, total uint64, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(folder, &s); err != nil {
		return 0, 0, fmt.Errorf("free space at %s: %w", folder, err)
	}
	return uint64(s.Bavail) * uint64(s.Bsize), uint64(s.Blocks) * uint64(s.Bsize), nil
}
