package web

import (
	"bytes"
	"fmt"

	"rsc.io/qr"
)

// quietZone is the white edge around a code, in modules (ISO/IEC 18004: 4).
const quietZone = 4

// drawCode is a text as a QR code, an SVG image of one square a dark module. Level L: screens are clean, and fewer modules are
// easier to scan.
func drawCode(text string) ([]byte, error) {
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
