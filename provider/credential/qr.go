package credential

import (
	"fmt"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// QR is a QR code as a drawing: modules of one unit, with the quiet zone of four units around (ISO/IEC 18004).
type QR struct {
	// Size is the width and height in units, quiet zone included.
	Size int
	// Path is the SVG path of the dark modules: digits, spaces and the letters M, h, v and z.
	Path string
}

const quietZone = 4

// DrawQR encodes a text.
func DrawQR(text string) (*QR, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return nil, fmt.Errorf("draw QR code: %w", err)
	}
	side := code.Bounds().Dx()
	dark := func(x, y int) bool {
		r, _, _, _ := code.At(x, y).RGBA()
		return r < 0x8000
	}
	var path strings.Builder
	for y := range side {
		for x := 0; x < side; x++ {
			run := 0
			for x+run < side && dark(x+run, y) {
				run++
			}
			if run > 0 {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", x+quietZone, y+quietZone, run, run)
				x += run
			}
		}
	}
	return &QR{Size: side + 2*quietZone, Path: path.String()}, nil
}
