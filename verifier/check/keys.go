package check

import "github.com/bulla-id/bulla/ledger/entry"

// Acceptable are the listed keys without those that this kind of chain may not have: development keys, unless it is a
// dev chain.
func Acceptable(g entry.Genesis, r *entry.Registry) []entry.VerifyingKey {
	var list []entry.VerifyingKey
	for _, key := range r.VerifyingKeys {
		if key.ValidateOn(g) == nil {
			list = append(list, key)
		}
	}
	return list
}
