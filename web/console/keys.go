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
