package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	if rehearsed, ok := os.LookupEnv(processVariable); ok {
		rehearse(rehearsed)
		return
	}
	testscript.Main(m, map[string]func(){"bulla": main})
}

// The scripts run the program in a folder of their own, without a network and without a terminal.
func TestScripts(t *testing.T) {
	samples, err := filepath.Abs("../../issuer/adapter/dcc/testdata")
	if err != nil {
		t.Fatal(err)
	}
	enrolment, err := filepath.Abs("../../testvectors/proofs/enrolment")
	if err != nil {
		t.Fatal(err)
	}
	bundles, err := filepath.Abs("../../verifier/offline/testdata")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("DCC", samples)
			env.Setenv("ENROLMENT", enrolment)
			env.Setenv("BUNDLES", bundles)
			env.Setenv("LC_ALL", "C.UTF-8")
			return nil
		},
	})
}
