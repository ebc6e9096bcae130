package webapi

import (
	"fmt"
	"testing"
)

func TestPlaces(t *testing.T) {
	a := NewPlaces(5, 2)
	var leave []func()
	enter := func(client string, want bool) {
		t.Helper()
		f, ok := a.Enter(client)
		if ok != want {
			t.Errorf("%s: admitted %t, want %t; %+v", client, ok, want, a)
		}
		if ok {
			leave = append(leave, f)
		}
	}
	enter("one", true)
	enter("one", true)
	enter("one", false)
	enter("two", true)
	enter("two", true)
	enter("three", true)
	enter("four", false) // full
	leave[0]()
	enter("four", true)
	leave[1]()
	for _, f := range leave[2:] {
		f()
	}
	if a.holding != 0 || len(a.clients) != 0 {
		t.Errorf("after all left: %+v", a)
	}
	for i := range 5 {
		enter(fmt.Sprint(i), true)
	}
}
