package web

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
)

// drawIcon is the sign of icon.svg as a PNG image of size by size pixels, for systems that take no SVG. A maskable one fills the square, so
// that a system may cut any shape from it; the sign stays in the middle.
func drawIcon(size int, maskable bool) ([]byte, error) {
	var (
		paper  = color.NRGBA{0xff, 0xff, 0xff, 0xff}
		accent = color.NRGBA{0x0b, 0x5a, 0x7d, 0xff}
		scale  = float64(size) / 32
		middle = float64(size) / 2
	)
	around := color.NRGBA{0xff, 0xff, 0xff, 0}
	if maskable {
		scale, around = scale*0.7, paper
	}
	picture := image.NewNRGBA(image.Rect(0, 0, size, size))
	for y := range size {
		for x := range size {
			from := math.Hypot(float64(x)+0.5-middle, float64(y)+0.5-middle)
			c := mixed(accent, paper, from-8*scale)
			c = mixed(c, accent, from-13*scale)
			picture.SetNRGBA(x, y, mixed(c, around, from-16*scale))
		}
	}
	var out bytes.Buffer
	err := png.Encode(&out, picture)
	return out.Bytes(), err
}

// mixed is the inner colour up to an edge and the outer one beyond it; outside is how many pixels beyond. At the edge it is both.
func mixed(inner, outer color.NRGBA, outside float64) color.NRGBA {
	part := min(max(outside+0.5, 0), 1)
	of := func(a, b uint8) uint8 { return uint8(math.Round(float64(a)*(1-part) + float64(b)*part)) }
	if outer.A == 0 { // the colour stays, and fades
		return color.NRGBA{inner.R, inner.G, inner.B, of(inner.A, 0)}
	}
	return color.NRGBA{of(inner.R, outer.R), of(inner.G, outer.G), of(inner.B, outer.B), of(inner.A, outer.A)}
}
