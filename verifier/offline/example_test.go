package offline_test

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/bulla-id/bulla/ledger/checkpoint"
	"github.com/bulla-id/bulla/verifier/check"
	"github.com/bulla-id/bulla/verifier/offline"
)

// A program that was handed a bundle checks it with what it believes: the chain's profile and the verifying key.
func Example() {
	profile, err := checkpoint.ReadProfile("testdata/live-profile.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	key, err := os.ReadFile("testdata/presentation-1.verifying")
	if err != nil {
		fmt.Println(err)
		return
	}
	file, err := os.ReadFile("testdata/live-bundle.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	verifier, err := offline.New(offline.Config{
		Profile: profile, VerifyingKeys: [][]byte{key},
		Clock: func() time.Time { return at(answered)() }, // the time in question; leave it out for now
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	bundle, err := offline.ParseBundle(file)
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := verifier.Verify(bundle)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, fact := range result.Facts {
		for _, line := range fact.Holds["en"] {
			fmt.Println(line)
		}
		fmt.Println("parcel:", fact.Disclosed["parcel"])
	}
	// Output:
	// Issued by Land registry, valid today and not revoked
	// parcel is stated
	// parcel: 912160000A0001
}

// What is wrong with a response has a stable code; what is wrong with chain or request is another error.
func ExampleVerifier_Verify_refused() {
	profile, _ := checkpoint.ReadProfile("testdata/live-profile.json")
	key, _ := os.ReadFile("testdata/presentation-1.verifying")
	file, _ := os.ReadFile("testdata/live-bundle.json")
	bundle, _ := offline.ParseBundle(file)
	verifier, _ := offline.New(offline.Config{Profile: profile, VerifyingKeys: [][]byte{key}, Clock: at(1000)})
	_, err := verifier.Verify(bundle)
	var refusal *check.Refusal
	switch {
	case errors.As(err, &refusal):
		fmt.Println(refusal.Code, refusal.Code.Text().Chinese)
	case errors.Is(err, offline.ErrChain), errors.Is(err, offline.ErrRequest):
		fmt.Println("not even the question is believable:", err)
	}
	// Output: session_expired 该请求已过期
}
