package client_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/ledger/client"
	"github.com/bulla-id/bulla/ledger/ledgertest"
)

// many is a host with more seals than a bundle has, and entries between them.
func many(t *testing.T) *ledgertest.Host {
	h := ledgertest.NewHost(t, nil)
	for i := range 300 {
		if i%20 == 0 {
			h.Issue("", 40)
		}
		h.Seal(ledgertest.Start + credential.UnixTime(i+1))
	}
	return h
}

// Seals come apart from entry bundles, and are the same ones where a host does not offer that, or lies.
func TestSealsWithoutEntryBundles(t *testing.T) {
	h := many(t)
	walk := func() ([]client.SealAt, error) {
		h.Asked()
		c := h.Client(nil)
		v, err := c.Update(t.Context())
		if err != nil {
			return nil, err
		}
		return c.Seals(t.Context(), v, ledgertest.Start.Time())
	}
	seals, err := walk()
	if err != nil || len(seals) != 300 {
		t.Fatalf("%d seals, %v", len(seals), err)
	}
	if asked := h.Asked(); slices.ContainsFunc(asked, func(p string) bool { return strings.HasPrefix(p, "/tile/entries/") }) {
		t.Errorf("asked for entry bundles: %v", asked)
	}
	spoil := func(prefix string) func(string, []byte) []byte {
		return func(path string, body []byte) []byte {
			if !strings.HasPrefix(path, prefix) || len(body) < 9 {
				return nil
			}
			body = bytes.Clone(body)
			body[len(body)/2] ^= 1
			return body
		}
	}
	for name, tamper := range map[string]func(string, []byte) []byte{
		"a host of old": ledgertest.OldHost, "a bundle of other seals": spoil("/seals/"),
		"a bundle that is none": func(path string, _ []byte) []byte {
			if strings.HasPrefix(path, "/seals/") {
				return []byte("hello")
			}
			return nil
		},
	} {
		h.Tamper = tamper
		again, err := walk()
		if err != nil || !slices.Equal(again, seals) {
			t.Errorf("%s: %d seals, %v", name, len(again), err)
		}
	}
	h.Tamper = spoil("/seal/")
	if _, err := walk(); !errors.Is(err, client.ErrTampered) {
		t.Errorf("another newest seal: %v", err)
	}
}

// An update after one more seal costs one small answer and the tiles that the consistency check needs.
func TestUpdateIsCheap(t *testing.T) {
	h := many(t)
	c := h.Client(nil)
	v := ledgertest.Must(c.Update(t.Context()))(t)
	ledgertest.Must(c.Seals(t.Context(), v, ledgertest.Start.Time()))(t)
	h.Seal(ledgertest.Start + 301)
	h.Asked()
	v = ledgertest.Must(c.Update(t.Context()))(t)
	if seals := ledgertest.Must(c.Seals(t.Context(), v, ledgertest.Start.Time()))(t); len(seals) != 301 {
		t.Errorf("%d seals", len(seals))
	}
	for _, path := range h.Asked() {
		if strings.HasPrefix(path, "/seals/") || strings.HasPrefix(path, "/tile/entries/") {
			t.Errorf("asked for %s", path)
		}
	}
}
