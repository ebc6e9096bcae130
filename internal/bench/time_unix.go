//go:build unix

package bench

import (
	"syscall"
	"time"
)

// processorTime is what this process took of the processors so far.
func processorTime() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}
