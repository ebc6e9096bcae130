package webapi_test

import (
	"testing"

	"github.com/bulla-id/bulla/internal/webapi"
)

// A command takes what begins with a hyphen for a flag.
func TestRandomIDIsNoFlag(t *testing.T) {
	for range 1000 {
		if id := webapi.RandomID(); len(id) != 43 || id[0] == '-' {
			t.Fatalf("id %q", id)
		}
	}
}
