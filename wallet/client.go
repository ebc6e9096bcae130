package wallet

import (
	"slices"
	"time"

	"github.com/bulla-id/bulla/internal/jose"
	"github.com/bulla-id/bulla/internal/openid"
	"github.com/bulla-id/bulla/ledger/entry"
)

// verifySignature parses the request object, which a key that is registered for the verifier must have signed, and finds
// that verifier. Where client_id names it, its keys are known before. Where client_id is a key, or the digest of a
// certificate, the policy in the request says whose key that should be, and the chain whether it is.
func (r *Request) verifySignature(token string, client openid.Client, now time.Time) error {
	payload, key, err := r.open(token, client, now)
	if CodeOf(err) != "" {
		return err
	}
	if err != nil {
		return refuse(CodeSignature, err, "signature of the request")
	}
	r.keyID = key.KeyID()
	if r.object, err = openid.ParseRequestObject(payload); err != nil {
		return refuse(CodeRequest, err, "read request")
	}
	if r.verifier.DID != "" {
		return nil
	}
	did, err := r.object.PolicyVerifier()
	if err != nil {
		return refuse(CodeRequest, err, "policy of the request")
	}
	if err := r.find(did); err != nil {
		return err
	}
	if !slices.Contains(r.verifier.Keys, key) {
		return refuse(CodeSignature, nil, "the key %s is not one of %s", r.keyID, did)
	}
	return nil
}

// find takes the verifier of that DID.
func (r *Request) find(did string) error {
	var ok bool
	if r.verifier, ok = r.view.Registry.Verifier(did); !ok {
		return refuse(CodeNotRegistered, nil, "verifier %.200s is not on the chain", did)
	}
	return nil
}

// open checks the signature of a request object by the key that its client_id leads to. The verifier is found on the way,
// unless client_id is of a key.
func (r *Request) open(token string, client openid.Client, now time.Time) (payload []byte, key jose.PublicKey, err error) {
	switch client.Scheme {
	case openid.SchemeX509Hash:
		payload, err = jose.VerifyCertified(token, openid.RequestType, func(c *jose.Certificate) error {
			if key = c.Key; c.Digest() != client.Certificate {
				return refuse(CodeSignature, nil, "the certificate is not the one of the client")
			}
			if err := c.ValidAt(now); err != nil {
				return refuse(CodeSignature, err, "x5c")
			}
			return nil // whose key it is the chain says, not who made the certificate
		})
		return payload, key, err
	case openid.SchemePreRegistered:
		i := slices.IndexFunc(r.view.Registry.Verifiers, func(v entry.RegisteredVerifier) bool { return openid.ClientOf(v.DID) == client })
		if i < 0 {
			return nil, key, refuse(CodeNotRegistered, nil, "no verifier on the chain has the name %s", client.Name)
		}
		r.verifier = r.view.Registry.Verifiers[i]
	case openid.SchemeDIDJWK:
		if _, registered := r.view.Registry.Verifier(client.DID); !registered {
			key = client.Key
			payload, err = r.verifyNamed(token, client, []jose.PublicKey{key}, &key)
			return payload, key, err
		}
		client.Scheme = openid.SchemeDID // the chain knows a verifier by it
		fallthrough
	default:
		if err := r.find(client.DID); err != nil {
			return nil, key, err
		}
	}
	payload, err = r.verifyNamed(token, client, r.verifier.Keys, &key)
	return payload, key, err
}

// verifyNamed checks the signature by the one of some keys that kid names, in the way of the client's scheme.
func (r *Request) verifyNamed(token string, client openid.Client, keys []jose.PublicKey, used *jose.PublicKey) ([]byte, error) {
	return jose.VerifyCompact(token, openid.RequestType, func(kid string) (jose.PublicKey, error) {
		i := slices.IndexFunc(keys, func(k jose.PublicKey) bool { return client.KeyID(k) == kid })
		if i < 0 {
			return jose.PublicKey{}, refuse(CodeSignature, nil, "the key %.200q is not one of %.200s", kid, client.ID())
		}
		*used = keys[i]
		return keys[i], nil
	})
}
