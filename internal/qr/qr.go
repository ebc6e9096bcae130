// Package qr draws QR codes: on a terminal, as PNG, and as SVG. Which bits a code has is for rsc.io/qr to say.
package qr

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// quiet is the light margin that readers need, in modules.
const quiet = 4

// Code is a QR code.
type Code struct {
	code *qr.Code
}

// robust is how many characters a code may have to be drawn with more redundancy (level M). Longer ones get smaller
// modules as it is.
const robust = 500

// Encode makes the code of a text. Text of the alphanumeric mode only (RFC 9285's alphabet) takes less room.
func Encode(text string) (*Code, error) {
	level := qr.M
	if len(text) > robust {
		level = qr.L
	}
	code, err := qr.Encode(text, level)
	if err != nil {
		return nil, fmt.Errorf("QR code of %d characters: %w", len(text), err)
	}
	return &Code{code}, nil
}

// Size is the number of modules in a row, without the margin.
func (c *Code) Size() int { return c.code.Size }

// dark tells whether a module is dark; the margin is not.
func (c *Code) dark(x, y int) bool { return c.code.Black(x-quiet, y-quiet) }

// Terminal draws two rows of modules in a line, for dark text on a light ground if coloured, which sets both colours, and
// else for light text on a dark ground.
func (c *Code) Terminal(coloured bool) string {
	var out strings.Builder
	side := c.Size() + 2*quiet
	for y := 0; y < side; y += 2 {
		if coloured {
			out.WriteString("\x1b[30;107m")
		}
		for x := range side {
			upper, lower := c.dark(x, y), y+1 < side && c.dark(x, y+1)
			if !coloured { // what is printed is light
				upper, lower = !upper, y+1 < side && !lower
			}
			out.WriteString(map[[2]bool]string{{true, true}: "█", {true, false}: "▀", {false, true}: "▄", {false, false}: " "}[[2]bool{upper, lower}])
		}
		if coloured {
			out.WriteString("\x1b[0m")
		}
		out.WriteByte('\n')
	}
	return out.String()
}

// PNG is the picture, with eight pixels a module.
func (c *Code) PNG() []byte { return c.code.PNG() }

// SVG is the picture, a module a unit.
func (c *Code) SVG() []byte {
	var out strings.Builder
	side := c.Size() + 2*quiet
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h%dv%dH0z"/><path d="`, side, side, side, side)
	for y := range side {
		for x := range side {
			if c.dark(x, y) {
				fmt.Fprintf(&out, "M%d %dh1v1h-1z", x, y)
			}
		}
	}
	out.WriteString("\"/></svg>\n")
	return []byte(out.String())
}
