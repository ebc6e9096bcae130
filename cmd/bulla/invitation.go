package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/internal/demo"
)

// printInvitation says what runs where, and what to paste next.
func printInvitation(cmd *cobra.Command, network *demo.Network, in demo.Invitation, data string) error {
	loaded, err := demo.Load()
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	profile := filepath.Join(data, demo.ProfileFile)
	if asJSON(cmd) {
		places := map[string]string{"ledger": network.Profile.Ledger, "cosigner": network.CosignerURL(), "explorer": network.ExplorerURL(), "front": network.Front}
		for did, a := range network.Agencies {
			places[did] = a.URL
		}
		for did, v := range network.Verifiers {
			places[did] = v.URL
		}
		if network.Wallet != "" {
			places["wallet"] = network.Wallet
		}
		return json.NewEncoder(out).Encode(map[string]any{"chain": profile, "places": places, "loaded": loaded, "offers": in})
	}
	fmt.Fprintf(out, `Bulla runs on loopback, on a dev chain: whoever made its keys could forge proofs.

Open this in a browser; everything can be reached from there:  %s

  ledger    %s
  cosigner  %s (replays every entry before it signs)
  explorer  %s (open it in a browser: what is on the chain, and a checker of its proofs)
`, network.Front, network.Profile.Ledger, network.CosignerURL(), network.ExplorerURL())
	for _, did := range []string{demo.CivilDID, demo.LandDID, demo.HealthDID} {
		a := network.Agencies[did]
		fmt.Fprintf(out, "  agency    %s  %s (%s)\n", a.URL, a.Name.English, did)
	}
	for _, did := range []string{demo.CityDID, demo.ClinicDID} {
		fmt.Fprintf(out, "  verifier  %s  %s\n", network.Verifiers[did].URL, did)
	}
	if network.Wallet != "" {
		fmt.Fprintf(out, "  wallet    %s  a page: open it in a browser, and paste the links below\n", network.Wallet)
	}
	fmt.Fprintf(out, "\nLoaded: %d districts of China, %d parcels of Épinay-sur-Orge with invented holders, %d health certificates of test persons.\n",
		loaded.Districts, loaded.Parcels, loaded.Certificates)
	folder := fmt.Sprintf("--data %s", data)
	fmt.Fprintf(out, `
Try this in another terminal. Make a wallet (it asks for a passphrase):

  bin/bulla wallet init %[1]s

Receive a credential of each agency, made from real data:

  bin/bulla wallet receive %[1]s '%[2]s'
  bin/bulla wallet receive %[1]s '%[3]s'
  bin/bulla wallet receive %[1]s '%[4]s'

Let the city ask for a fact, and answer with the link that it prints:

  bin/bulla verifier ask %[1]s residency
  bin/bulla wallet present %[1]s 'openid4vp://…'

Look behind it:

  bin/bulla wallet list %[1]s
  bin/bulla ledger verify --chain %[5]s
  bin/bulla issuer offer %[1]s --parcel 91216000AB0026

Ctrl-C stops; the next start finds everything where it was.
`, folder, in.Residency, in.Land, in.Vaccination, profile)
	return nil
}
