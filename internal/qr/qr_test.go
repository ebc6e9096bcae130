package qr

import (
	"bytes"
	"image"
	"image/color"
	_ "image/png"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"github.com/bulla-id/bulla/internal/base45"
)

// read is what another program reads in a picture.
func read(t *testing.T, picture image.Image) string {
	t.Helper()
	bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		t.Fatal(err)
	}
	result, err := qrcode.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_PURE_BARCODE: true})
	if err != nil {
		t.Fatal(err)
	}
	return result.GetText()
}

// draw paints modules, six pixels each.
func draw(side int, dark func(x, y int) bool) image.Image {
	const scale = 6
	img := image.NewGray(image.Rect(0, 0, side*scale, side*scale))
	for y := range side * scale {
		for x := range side * scale {
			if !dark(x/scale, y/scale) {
				img.SetGray(x, y, color.Gray{Y: 255})
			}
		}
	}
	return img
}

func TestOthersReadOurCodes(t *testing.T) {
	for name, text := range map[string]string{
		"a request": "bulla-counter:" + strings.Repeat("eyJhbGciOiJFZERTQSJ9.", 45),
		"an answer": "BULLA-ANSWER:" + base45.Encode(bytes.Repeat([]byte{1, 200, 77}, 100)),
		"short":     "HELLO 1",
	} {
		code, err := Encode(text)
		if err != nil {
			t.Fatal(err)
		}
		picture, _, err := image.Decode(bytes.NewReader(code.PNG()))
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, picture); got != text {
			t.Errorf("%s: PNG says %q", name, got)
		}
		for _, coloured := range []bool{false, true} {
			if got := read(t, fromTerminal(code.Terminal(coloured), coloured)); got != text {
				t.Errorf("%s, coloured %t: the terminal says %q", name, coloured, got)
			}
		}
		if got := read(t, fromSVG(code)); got != text {
			t.Errorf("%s: SVG says %q", name, got)
		}
	}
	if _, err := Encode(strings.Repeat("x", 3000)); err == nil {
		t.Error("3,000 bytes fit into one code")
	}
}

func fromTerminal(text string, coloured bool) image.Image {
	text = regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(text, "")
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	side := len([]rune(lines[0]))
	return draw(side, func(x, y int) bool {
		r := []rune(lines[y/2])[x]
		printed := r == '█' || r == '▀' && y%2 == 0 || r == '▄' && y%2 == 1
		return printed == coloured
	})
}

func fromSVG(code *Code) image.Image {
	dark := map[[2]int]bool{}
	for _, m := range regexp.MustCompile(`M(\d+) (\d+)h1v1`).FindAllStringSubmatch(string(code.SVG()), -1) {
		x, _ := strconv.Atoi(m[1])
		y, _ := strconv.Atoi(m[2])
		dark[[2]int{x, y}] = true
	}
	return draw(code.Size()+2*quiet, func(x, y int) bool { return dark[[2]int{x, y}] })
}

func TestAnswersTakeSmallCodes(t *testing.T) {
	// Some 300 bytes, an answer with one presentation.
	code, err := Encode("BULLA-ANSWER:" + base45.Encode(make([]byte, 300)))
	if err != nil || code.Size() > 69 {
		t.Errorf("%d modules, %v", code.Size(), err)
	}
}
