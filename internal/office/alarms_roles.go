package office

import (
	"slices"
	"time"

	"github.com/bulla-id/bulla/circuits/keys"
	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/oauth"
	"github.com/bulla-id/bulla/issuer"
	"github.com/bulla-id/bulla/issuer/records"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/entry"
)

// endOfKeys is when the last of our verifying keys of a circuit ends on the chain; zero if it lists none of them.
func endOfKeys(v *client.View, circuit string, ours []*keys.VerifyingKey) (end time.Time) {
	for _, listed := range v.Registry.VerifyingKeys {
		for _, key := range ours {
			good := key.Name() == circuit && listed.Circuit == circuit && listed.KeyDigest == key.Digest() && listed.CircuitDigest == key.Circuit()
			if at := listed.NotAfter.Time(); good && at.After(end) {
				end = at
			}
		}
	}
	return end
}

// keyEnd is a figure for metrics: when our keys of a circuit end, as far as the chain was seen.
func keyEnd(chain *client.Client, circuit string, ours []*keys.VerifyingKey) float64 {
	v := chain.Latest()
	if v == nil {
		return timestamp(time.Time{})
	}
	return timestamp(endOfKeys(v, circuit, ours))
}

// agencyWatch is what an agency's alarms are about.
type agencyWatch struct {
	did, url string
	key      jose.PublicKey       // signs entries
	schemas  []*credential.Schema // that it issues
	enrol    *keys.VerifyingKey
	chain    *client.Client
	agency   *issuer.Issuer
	writes   func() uint64     // of values under the record key
	provider *oauth.RemoteKeys // nil: none
}

// quotaShare is how much of its quota an agency's living credentials may take up before it is warned, in hundredths.
const quotaShare = 90

// look compares the agency with what the chain says of it.
func (a *agencyWatch) look(v *client.View, now time.Time) (list []Alarm) {
	registered, ok := v.Registry.Issuer(a.did)
	if !ok {
		return append(a.keyAlarms(v, now), problem("registration", "governance has not registered %s on the chain", a.did))
	}
	if registered.Suspended {
		list = append(list, problem("suspended", "governance has suspended the agency: the chain takes none of its entries, and none of its credentials counts"))
	}
	if !slices.Contains(registered.Keys, a.key) {
		list = append(list, problem("signing-key", "the chain does not list the signing key %s: it takes no entry that it signs", a.key.KeyID()))
	}
	if registered.URL != a.url {
		list = append(list, problem("url", "the chain has another URL of the agency, %.200q: wallets refuse this one", registered.URL))
	}
	for _, s := range a.schemas {
		if !permitted(v, s, a.did) {
			list = append(list, warning("schema", "the chain does not let the agency issue %s", s.Type))
		}
	}
	if live := liveOf(v.Census, a.did); live*100 >= registered.Quota*quotaShare {
		list = append(list, warning("quota", "%d credentials are live, and the quota is %d in all: governance raises it by issuer-rotated", live, registered.Quota))
	}
	return append(list, a.keyAlarms(v, now)...)
}

func permitted(v *client.View, s *credential.Schema, did string) bool {
	id, err := s.ID()
	if err != nil {
		return false
	}
	registered, ok := v.Registry.Schema(id)
	return ok && registered.Permits(did)
}

// liveOf is how many credentials of an agency are live. Those that were revoked count against its quota, too, and are not among them.
func liveOf(census *entry.Census, did string) (live uint64) {
	for _, c := range census.Counts {
		if c.Issuer == did {
			live += c.Live
		}
	}
	return live
}

func (a *agencyWatch) keyAlarms(v *client.View, now time.Time) []Alarm {
	end := endOfKeys(v, a.enrol.Name(), []*keys.VerifyingKey{a.enrol})
	if end.IsZero() {
		return []Alarm{problem("verifying-key", "the chain does not list the verifying key %s of %s: wallets refuse it", a.enrol.Digest(), a.enrol.Name())}
	}
	return expiry("verifying-key", "the verifying key of "+a.enrol.Name(), end, now)
}

// own looks at what the chain does not tell.
func (a *agencyWatch) own(time.Time) (list []Alarm) {
	switch _, late, err := a.agency.AuditAnchor(); {
	case err != nil:
		list = append(list, problem("records", "the records cannot be read: the log says why"))
	case late:
		list = append(list, warning("audit-anchor", "the head of the audit log is not on the chain for twice as long as it should be"))
	}
	if n := a.writes(); n >= records.MaxWrites/2 {
		list = append(list, warning("record-key", "%d values were written under the record key, which is good for %d", n, uint64(records.MaxWrites)))
	}
	return append(list, providerAlarms(a.provider)...)
}

// providerAlarms look at the keys of an OpenID provider; nil: there is none.
func providerAlarms(keys *oauth.RemoteKeys) (list []Alarm) {
	if keys != nil {
		if at, failed := keys.Fetched(); failed {
			list = append(list, warning("provider", "the keys of the OpenID provider could not be fetched when they were needed last; those that count are of %s", whenOf(at)))
		}
	}
	return list
}

func whenOf(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

// watchAgency adds an agency's alarms and the figures behind them.
func (s *Service) watchAgency(a *agencyWatch, o Options) {
	s.watchChain(a.chain, o, a.look)
	s.checks = append(s.checks, a.own)
	s.gauge("bulla_issuer_verifying_key_expiry_timestamp_seconds", "When the verifying key of enrolment ends on the chain.", func() float64 {
		return keyEnd(a.chain, a.enrol.Name(), []*keys.VerifyingKey{a.enrol})
	})
	registered := func(value func(*client.View, entry.RegisteredIssuer) float64) func() float64 {
		return func() float64 {
			if v := a.chain.Latest(); v != nil {
				if r, ok := v.Registry.Issuer(a.did); ok {
					return value(v, r)
				}
			}
			return timestamp(time.Time{}) // not known
		}
	}
	s.gauge("bulla_issuer_suspended", "1 if governance has suspended the agency.", registered(func(_ *client.View, r entry.RegisteredIssuer) float64 { return one(r.Suspended) }))
	s.gauge("bulla_issuer_quota", "How many credentials governance lets the agency issue in all.", registered(func(_ *client.View, r entry.RegisteredIssuer) float64 { return float64(r.Quota) }))
	s.gauge("bulla_issuer_live", "Credentials of the agency that are live. Revoked ones count against the quota, too.", registered(func(v *client.View, _ entry.RegisteredIssuer) float64 {
		return float64(liveOf(v.Census, a.did))
	}))
	s.gauge("bulla_issuer_audit_anchor_timestamp_seconds", "When the newest head of the audit log got onto the chain.", func() float64 {
		at, _, err := a.agency.AuditAnchor()
		if err != nil {
			at = time.Time{}
		}
		return timestamp(at)
	})
	s.gauge("bulla_issuer_record_writes", "Values that were written under the record key, which is good for 2^32.", func() float64 { return float64(a.writes()) })
	if a.provider != nil {
		s.gauge("bulla_issuer_provider_keys_timestamp_seconds", "When the keys of the OpenID provider were fetched.", func() float64 {
			at, _ := a.provider.Fetched()
			return timestamp(at)
		})
	}
}

// watchParty adds the alarms of a relying party. Whether it can ask at all, the verifier says itself.
func (s *Service) watchParty(chain *client.Client, ours []*keys.VerifyingKey, provider *oauth.RemoteKeys, o Options) {
	s.checks = append(s.checks, func(time.Time) []Alarm { return providerAlarms(provider) })
	var circuits []string
	for _, key := range ours {
		if !slices.Contains(circuits, key.Name()) {
			circuits = append(circuits, key.Name())
		}
	}
	s.watchChain(chain, o, func(v *client.View, now time.Time) (list []Alarm) {
		for _, circuit := range circuits {
			if end := endOfKeys(v, circuit, ours); !end.IsZero() {
				for _, a := range expiry("verifying-key", "the last verifying key of "+circuit, end, now) {
					a.problem = false // policies may do without it
					list = append(list, a)
				}
			}
		}
		return list
	})
	for _, circuit := range circuits {
		s.gaugeOf("bulla_verifier_verifying_key_expiry_timestamp_seconds", "When the last of our verifying keys of a circuit ends on the chain.",
			map[string]string{"circuit": circuit}, func() float64 { return keyEnd(chain, circuit, ours) })
	}
}
