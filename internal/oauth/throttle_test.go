package oauth

import (
	"fmt"
	"testing"
	"time"
)

// However many fail, the throttle stays small, and still slows the last of them.
func TestThrottleIsBounded(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	th := newThrottle(func() time.Time { return now })
	for i := range 2 * maxThrottled {
		for range freeFailures {
			th.failed(fmt.Sprint(i))
		}
	}
	if len(th.failures) != maxThrottled || th.order.Len() != maxThrottled {
		t.Errorf("%d and %d", len(th.failures), th.order.Len())
	}
	if th.wait("0") != 0 || th.wait(fmt.Sprint(2*maxThrottled-1)) != time.Second {
		t.Error("the first is forgotten, the last is not")
	}
	now = now.Add(forgetAfter + time.Second)
	th.failed(fmt.Sprint(2*maxThrottled - 1))
	if wait := th.wait(fmt.Sprint(2*maxThrottled - 1)); wait != 0 {
		t.Errorf("failures of long ago still count: %s", wait)
	}
}
