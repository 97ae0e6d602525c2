package transfer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxLine bounds a line, in bytes, and with it the memory that an import takes.
const maxLine = 256 << 10

// lines reads one line after the other.
type lines struct {
	r    *bufio.Reader
	n    int
	read int64
}

func newLines(r io.Reader) *lines { return &lines{r: bufio.NewReaderSize(r, maxLine)} }

// next returns the next line that is not empty, which is good until the next call, or what is wrong with it. io.EOF after the last.
func (l *lines) next() (line []byte, fault *Fault, err error) {
	for {
		line, fault, err = l.one()
		if err != nil || fault != nil || len(bytes.TrimSpace(line)) > 0 {
			return line, fault, err
		}
	}
}

func (l *lines) one() (line []byte, fault *Fault, err error) {
	l.n++
	line, err = l.r.ReadSlice('\n')
	l.read += int64(len(line))
	for errors.Is(err, bufio.ErrBufferFull) {
		fault = faultf("", "is longer than %d KiB", maxLine>>10)
		var rest []byte
		rest, err = l.r.ReadSlice('\n')
		l.read += int64(len(rest))
	}
	switch {
	case err == nil, errors.Is(err, io.EOF) && (len(line) > 0 || fault != nil):
		return line, fault, nil
	case errors.Is(err, io.EOF):
		return nil, nil, io.EOF
	}
	return nil, nil, fmt.Errorf("read line %d: %w", l.n, err)
}
