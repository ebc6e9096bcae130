package demo

import (
	"bytes"
	"encoding/base64"
	"image"
	"image/draw"
	_ "image/png"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bulla-id/bulla/internal/office"
	"github.com/bulla-id/bulla/internal/qr"
	"github.com/bulla-id/bulla/internal/qr/scan"
	"github.com/bulla-id/bulla/verifier/counter"
	"github.com/bulla-id/bulla/web/browsertest"
)

// openCounter is a counter of the city's that has taken a copy of the chain. data is the network's folder.
func openCounter(t *testing.T, n *Network, data string) *counter.Counter {
	t.Helper()
	cfg := office.CounterConfig{Name: "desk-3", Verifier: CityDID, Profile: n.Profile, Passphrase: "clerk", WorkFactor: 8, Lifetime: time.Hour}
	var err error
	if cfg.Signing, err = VerifierKey(data, "test", CityDID); err != nil {
		t.Fatal(err)
	}
	if cfg.VerifyingKeys, err = office.PresentationKeys(filepath.Join(data, "keys")); err != nil {
		t.Fatal(err)
	}
	folder := office.CounterFolder(t.TempDir())
	if _, err := folder.Open(cfg); err != nil {
		t.Fatal(err)
	}
	if _, err := folder.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := folder.Load("clerk")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// counter scans the code of a counter that has no network, which then reads the code that the wallet shows.
func (p page) counter(c *counter.Counter) {
	p.t.Helper()
	asked, err := c.Ask(PolicyResidency)
	if err != nil {
		p.t.Fatal(err)
	}
	code, err := qr.Encode(asked.Link)
	if err != nil {
		p.t.Fatal(err)
	}
	p.press("Scan a code")
	p.at("scan")
	p.Choose("#picture", code.PNG())
	p.at("consent")
	if text := browsertest.Evaluate[string](p.Browser, `document.getElementById("content").textContent`); !strings.Contains(text, "desk-3") {
		p.t.Errorf("the request does not say which counter asks: %s", text)
	}
	p.press("Prove it")
	p.at("answered")
	p.look("wallet, answered at a counter", false)
	shown := p.scanned()
	if text := browsertest.Evaluate[string](p.Browser, `document.querySelector("textarea").value`); text != shown {
		p.t.Errorf("the code says %q, and its text %q", shown, text)
	}
	if result, err := c.Check(shown); err != nil || result.Counter != c.Name() {
		p.t.Errorf("%+v, %v", result, err)
	}
	if _, err := c.Check(shown); err == nil {
		p.t.Error("an answer counts twice")
	}
	p.press("To the wallet")
	p.at("home")
}

// scanned is what the code says that the page shows, as it is drawn. A reader with a camera sees it at many sizes; we at three.
func (p page) scanned() string {
	p.t.Helper()
	var err error
	for _, side := range []int{1000, 800, 1250} {
		var text string
		if text, err = scan.Text(p.drawn(side).Pix, side, side); err == nil {
			return text
		}
	}
	p.t.Fatal(err)
	return ""
}

// drawn is the code that the page shows.
func (p page) drawn(side int) *image.RGBA {
	p.t.Helper()
	drawn, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(browsertest.Evaluate[string](p.Browser, `(async (side) => {
		const img = document.querySelector("img.code"), canvas = document.createElement("canvas");
		await img.decode();
		canvas.width = canvas.height = side;
		canvas.getContext("2d").drawImage(img, 0, 0, side, side);
		return canvas.toDataURL("image/png");
	})(`+strconv.Itoa(side)+`)`), "data:image/png;base64,"))
	if err != nil {
		p.t.Fatal(err)
	}
	picture, _, err := image.Decode(bytes.NewReader(drawn))
	if err != nil {
		p.t.Fatal(err)
	}
	rgba := image.NewRGBA(picture.Bounds())
	draw.Draw(rgba, rgba.Rect, picture, picture.Bounds().Min, draw.Src)
	return rgba
}
