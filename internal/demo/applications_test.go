package demo

import (
	"testing"

	"github.com/bulla-id/bulla/issuer/adapter/cadastre"
)

// Every parcel of the export can be offered to its holder: the claims fit the schema and the subject is the parcel.
func TestEveryParcelHasAHolder(t *testing.T) {
	holdings, err := Holdings()
	if err != nil {
		t.Fatal(err)
	}
	if len(holdings) != 4241 {
		t.Errorf("%d parcels, the export has 4,241", len(holdings))
	}
	schema, held := cadastre.ParcelSchema(ParcelsRegister), make(map[string]int)
	for _, h := range holdings {
		a := Title(h.Holder, h.Parcel)
		if _, err := schema.Encode(a.Claims); err != nil || a.Subject != h.ID || a.Person == "" {
			t.Fatalf("parcel %s: %+v, %v", h.ID, a, err)
		}
		held[h.Holder]++
	}
	if len(held) < 2000 {
		t.Errorf("only %d holders", len(held))
	}
}

func TestLoad(t *testing.T) {
	if l, err := Load(); err != nil || l != (Loaded{2978, 4241, 3}) {
		t.Errorf("loaded %+v, %v", l, err)
	}
}
