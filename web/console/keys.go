package console

import (
	"net/http"
	"strings"

	"github.com/bulla-id/bulla/issuer"
)

func (c *Console) mountKeys() {
	c.page("GET /keys", issuer.ScopeKeys, (*visit).keys)
}

// keyRow is a key, without its secret.
type keyRow struct {
	Use     string
	ID      string `json:"kid"`
	Retired bool
	// Registered is nil where it is not known, or does not matter.
	Registered *bool
}

// State is what the texts call the state of a key.
func (k keyRow) State() string {
	switch {
	case k.Retired:
		return "retired"
	case k.Registered == nil:
		return "in-use"
	case *k.Registered:
		return "registered"
	}
	return "unregistered"
}

// Tone is how the state looks.
func (k keyRow) Tone() string {
	switch k.State() {
	case "retired":
		return ""
	case "unregistered":
		return "bad"
	}
	return "good"
}

// Key is what the texts call its use.
func (k keyRow) Key() string { return strings.ReplaceAll(k.Use, " ", "-") }

func (v *visit) keys() error {
	var data struct{ Keys []keyRow }
	if err := v.call(http.MethodGet, "/keys", nil, &data); err != nil {
		return err
	}
	return v.show("keys", data)
}
