package console

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// Progress is one line on a terminal that says how far long work has come. It is written to standard error, and nowhere if that is no terminal.
type Progress struct {
	out   io.Writer // nil: nothing is shown
	what  string
	now   func() time.Time
	begun time.Time
	shown time.Time
}

// progressEvery keeps a terminal from being written to more often than a person sees.
const progressEvery = 100 * time.Millisecond

// Progress begins a line that counts what.
func (c *Console) Progress(what string) *Progress {
	p := &Progress{what: what, now: time.Now, begun: time.Now()}
	if terminal, ok := c.Err.(*os.File); ok && term.IsTerminal(int(terminal.Fd())) {
		p.out = terminal
	}
	return p
}

// Show tells that count is reached, which is done of total; total 0 is unknown.
func (p *Progress) Show(count int, done, total int64) {
	now := p.now()
	if p.out == nil || now.Sub(p.shown) < progressEvery {
		return
	}
	p.shown = now
	fmt.Fprint(p.out, "\r\x1b[K", p.text(count, done, total, now.Sub(p.begun)))
}

func (p *Progress) text(count int, done, total int64, took time.Duration) string {
	rate := fmt.Sprintf("%d %s, %.0f a second", count, p.what, float64(count)/max(took.Seconds(), 0.001))
	if total <= 0 || done <= 0 {
		return rate
	}
	part := min(float64(done)/float64(total), 1)
	left := time.Duration(float64(took) * (1 - part) / part).Round(time.Second)
	const width = 24
	bar := strings.Repeat("=", int(part*width)) + strings.Repeat(" ", width-int(part*width))
	return fmt.Sprintf("[%s] %3.0f%%  %s, %s left", bar, part*100, rate, left)
}

// Clear takes the line away, before anything else is written there and at the end.
func (p *Progress) Clear() {
	if p.out != nil && !p.shown.IsZero() {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = time.Time{}
	}
}

// Took is how long it has been.
func (p *Progress) Took() time.Duration { return p.now().Sub(p.begun) }
