// Package counter is a relying party's counter without a network: it shows a request as a QR code, reads the answer from one
// QR code, and checks it against the chain as it was when the counter last had a network. Format: doc/spec/counter.md.
package counter
