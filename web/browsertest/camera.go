package browsertest

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// The camera's picture, in pixels.
const cameraWidth, cameraHeight = 1280, 720

// Camera is an option of [Open]: the browser has a camera, which pages may use, and which sees a picture in the middle of a grey wall, an eighth
// smaller than what it sees is high.
func Camera(t testing.TB, picture image.Image) chromedp.ExecAllocatorOption {
	t.Helper()
	light := bytes.Repeat([]byte{128}, cameraWidth*cameraHeight*3/2) // one byte a pixel; then two of colour for each four pixels, here none
	side := cameraHeight * 7 / 8
	for y := range side {
		for x := range side {
			at := picture.Bounds().Min.Add(image.Pt(x*picture.Bounds().Dx()/side, y*picture.Bounds().Dy()/side))
			light[(y+(cameraHeight-side)/2)*cameraWidth+x+(cameraWidth-side)/2] = color.GrayModel.Convert(picture.At(at.X, at.Y)).(color.Gray).Y
		}
	}
	film := fmt.Appendf(nil, "YUV4MPEG2 W%d H%d F5:1 Ip A1:1 C420mpeg2\nFRAME\n%s", cameraWidth, cameraHeight, light)
	path := filepath.Join(t.TempDir(), "camera.y4m")
	if err := os.WriteFile(path, film, 0o600); err != nil {
		t.Fatal(err)
	}
	return func(a *chromedp.ExecAllocator) {
		for name, value := range map[string]any{
			"use-fake-device-for-media-stream": true, "use-fake-ui-for-media-stream": true, "use-file-for-fake-video-capture": path,
		} {
			chromedp.Flag(name, value)(a)
		}
	}
}
