package scan

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/draw"
	_ "image/png"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/bulla-id/bulla/internal/fuzztest"
	"github.com/bulla-id/bulla/internal/qr"
)

// code is the picture of a text.
func code(t interface{ Fatal(...any) }, text string) image.Image {
	c, err := qr.Encode(text)
	if err != nil {
		t.Fatal(err)
	}
	picture, _, err := image.Decode(bytes.NewReader(c.PNG()))
	if err != nil {
		t.Fatal(err)
	}
	return picture
}

// view is how a camera sees a picture: at an angle, smaller, in uneven light, with noise. Grey surrounds it.
type view struct {
	angle, scale, shade, noise float64 // radians; of the window's height; 0 to 1; in shades of 255
}

const wide, high = 1280, 720

func (v view) of(picture image.Image) *image.RGBA {
	seen := image.NewRGBA(image.Rect(0, 0, wide, high))
	random := rand.New(rand.NewPCG(1, 2))
	side := float64(picture.Bounds().Dx())
	sin, cos := math.Sincos(v.angle)
	for y := range high {
		for x := range wide {
			// the mean of four points, as a sensor has
			light := 0.0
			for _, d := range [4][2]float64{{.25, .25}, {.75, .25}, {.25, .75}, {.75, .75}} {
				dx, dy := (float64(x)+d[0]-wide/2)/(v.scale*high), (float64(y)+d[1]-high/2)/(v.scale*high)
				at := image.Pt(int(math.Floor((cos*dx+sin*dy+.5)*side)), int(math.Floor((cos*dy-sin*dx+.5)*side)))
				shade := 128.0
				if at.In(picture.Bounds()) {
					shade = float64(color.GrayModel.Convert(picture.At(at.X, at.Y)).(color.Gray).Y)
				}
				light += shade / 4
			}
			light = light*(1-v.shade*float64(x)/wide) + v.noise*random.NormFloat64()
			seen.SetRGBA(x, y, color.RGBA{clamp(light), clamp(light), clamp(light), 255})
		}
	}
	return seen
}

func clamp(light float64) uint8 { return uint8(max(0, min(255, light))) }

// A request at a counter is the longest code there is: 1,100 characters, in a window of 1280 by 720.
func TestText(t *testing.T) {
	offer := "openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fcivil.example%2Foffers%2F0123456789abcdef"
	counter := "bulla-counter:" + strings.Repeat("eyJhbGciOiJFZERTQSJ9.", 50)
	for name, c := range map[string]struct {
		text string
		view view
	}{
		"straight":          {offer, view{0, .8, 0, 0}},
		"on its head":       {offer, view{math.Pi, .6, 0, 5}},
		"aslant":            {offer, view{.4, .6, .3, 10}},
		"small":             {offer, view{.1, .3, .2, 8}},
		"counter, straight": {counter, view{0, .85, .2, 6}},
		"counter, by hand":  {counter, view{.06, .9, .2, 8}},
		"UTF-8":             {"bulla:居住证明", view{0, .5, 0, 0}},
	} {
		seen := c.view.of(code(t, c.text))
		if text, err := Text(seen.Pix, wide, high); err != nil || text != c.text {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

// Whatever text a code has is what is read, or nothing is.
func TestTextOfAny(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-zA-Z0-9:/?&=%._~-]{1,300}`).Draw(t, "text")
		picture := code(t, text)
		rgba := image.NewRGBA(picture.Bounds())
		draw.Draw(rgba, rgba.Rect, picture, picture.Bounds().Min, draw.Src)
		if got, err := Text(rgba.Pix, rgba.Rect.Dx(), rgba.Rect.Dy()); err != nil || got != text {
			t.Fatalf("%q, %v", got, err)
		}
	})
}

func TestRefused(t *testing.T) {
	grey := bytes.Repeat([]byte{128}, 4*64*64)
	for name, c := range map[string]struct{ width, height int }{"no pixels": {0, 0}, "fewer bytes": {64, 65}, "more": {64, 63}, "negative": {-64, -64}, "too wide": {MaxSide + 1, 1}} {
		if text, err := Text(grey, c.width, c.height); err == nil || errors.Is(err, ErrNoCode) {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	if text, err := Text(grey, 64, 64); !errors.Is(err, ErrNoCode) {
		t.Errorf("grey: %q, %v", text, err)
	}
}

// No picture ends the program: those that are almost a code come furthest.
func FuzzText(f *testing.F) {
	c, err := qr.Encode("HELLO")
	if err != nil {
		f.Fatal(err)
	}
	picture, _, err := image.Decode(bytes.NewReader(c.PNG()))
	if err != nil {
		f.Fatal(err)
	}
	const module = 8 // pixels
	side := picture.Bounds().Dx()
	f.Add([]byte{}, uint8(side/module))
	f.Add(bytes.Repeat([]byte{0, 0, 3}, 50), uint8(side/module))
	f.Fuzz(func(t *testing.T, changes []byte, width uint8) {
		rgba := image.NewRGBA(picture.Bounds())
		draw.Draw(rgba, rgba.Rect, picture, picture.Bounds().Min, draw.Src)
		for ; len(changes) >= 3; changes = changes[3:] { // turn a module
			x, y := int(changes[0])*module%side, int(changes[1])*module%side
			draw.Draw(rgba, image.Rect(x, y, x+module, y+module), image.NewUniform(color.Gray{changes[2]}), image.Point{}, draw.Src)
		}
		w := max(2*module, min(int(width)*module, side))
		h := len(rgba.Pix) / 4 / w
		text, err := Text(rgba.Pix[:4*w*h], w, h)
		if err != nil {
			fuzztest.Refused(t, err)
			if !errors.Is(err, ErrNoCode) {
				t.Errorf("%v", err)
			}
			return
		}
		if len(text) > 100 { // a code of this size has 25 letters at most
			t.Errorf("%q in so small a code", text)
		}
	})
}
