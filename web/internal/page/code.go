package page

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html/template"

	"rsc.io/qr"
)

// quietZone is the white edge around a code, in modules (ISO/IEC 18004: 4).
const quietZone = 4

// DrawCode is a text as a QR code, an SVG image of one square a dark module. Level L: screens are clean, and fewer modules are
// easier to scan.
func DrawCode(text string) ([]byte, error) {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return nil, err
	}
	size := code.Size + 2*quietZone
	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h%dv%dH0z"/><path d="`, size, size, size, size)
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			from := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if x > from {
				fmt.Fprintf(&out, "M%d %dh%dv1h-%dz", from+quietZone, y+quietZone, x-from, x-from)
			}
		}
	}
	out.WriteString(`"/></svg>`)
	return out.Bytes(), nil
}

// CodeURL is the image of a text's QR code as a URL with the image in it, for a page's img.
func CodeURL(text string) (template.URL, error) {
	image, err := DrawCode(text)
	if err != nil {
		return "", fmt.Errorf("draw a QR code: %w", err) // the cause has sizes only
	}
	return template.URL("data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString(image)), nil
}
