// Package silence turns gnark's own logger off in every program that links a circuit package. It would print the values
// of wires, private ones among them, to standard output when a constraint fails.
package silence

import "github.com/consensys/gnark/logger"

// This is work in init on purpose: there must be no program and no order of calls in which it was forgotten.
func init() { logger.Disable() }
