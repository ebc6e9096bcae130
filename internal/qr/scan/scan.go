// Package scan reads QR codes in pictures, as a camera makes them. Finding and correcting a code is gozxing's, a port of ZXing to Go.
package scan

import (
	"errors"
	"fmt"
	"image"

	"github.com/makiuchi-d/gozxing"
	multi "github.com/makiuchi-d/gozxing/multi/qrcode"
	"github.com/makiuchi-d/gozxing/qrcode"
)

// MaxSide is how many pixels a side of a picture may have.
const MaxSide = 4096

// ErrNoCode is returned where no code can be read.
var ErrNoCode = errors.New("there is no QR code that can be read")

// Text is what the code in a picture says, or [ErrNoCode]. rgba has four bytes a pixel, row by row, as the canvas of a browser gives them.
func Text(rgba []byte, width, height int) (text string, err error) {
	if width < 1 || height < 1 || width > MaxSide || height > MaxSide || len(rgba) != 4*width*height {
		return "", fmt.Errorf("a picture of %d times %d pixels in %d bytes", width, height, len(rgba))
	}
	picture := &image.RGBA{Pix: rgba, Stride: 4 * width, Rect: image.Rect(0, 0, width, height)}
	defer func() { // pictures come from anywhere, and the reader indexes by what it finds in them
		if recover() != nil {
			text, err = "", ErrNoCode
		}
	}()
	bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoCode, err)
	}
	hints := map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true, gozxing.DecodeHintType_CHARACTER_SET: "UTF-8"}
	// One code in a hundred has modules that look like the pattern in its corners, by which the reader of a single code is led astray: the reader of
	// several tries all that look so. It needs corners that are seen well, so that each of the two reads what the other does not.
	if several, err := multi.NewQRCodeMultiReader().DecodeMultiple(bitmap, hints); err == nil && len(several) > 0 {
		return several[0].GetText(), nil
	}
	result, err := qrcode.NewQRCodeReader().Decode(bitmap, hints)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoCode, err)
	}
	return result.GetText(), nil
}
