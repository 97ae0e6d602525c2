package bench

import (
	"fmt"
	"html"
	"io"
	"strings"
)

// Measures of the chart in pixels.
const (
	chartWidth = 860
	labelWidth = 170
	barWidth   = 470
	rowHeight  = 44
	chartTop   = 92
)

const chartStyle = `
  text { font: 14px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #18211e }
  .title { font-size: 18px; font-weight: 650 } .small { font-size: 12px; fill: #54615b } .bad { fill: #9c2a1f; font-weight: 650 }
  .ground { fill: #fff } .track { fill: #eef1ee } .server { fill: #1d5c50 } .database { fill: #86b8a8 } .limit { stroke: #9c2a1f; stroke-width: 2; stroke-dasharray: 4 3 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e9eeeb } .small { fill: #a5b3ac } .bad { fill: #f4a598 }
    .ground { fill: #1a211e } .track { fill: #232b28 } .server { fill: #86cdb9 } .database { fill: #3f7568 } .limit { stroke: #f4a598 }
  }
`

// WriteSVG draws a bar for each operation. With CPU times it is the cost of one operation, split into server and database, on a scale of its own up to
// a little over its limit; without, it is the rate.
func (r *Report) WriteSVG(w io.Writer) error {
	var b strings.Builder
	height := chartTop + rowHeight*len(r.Results) + 28
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="Cost of each operation">`,
		chartWidth, height, chartWidth, height)
	fmt.Fprintf(&b, "\n<style>%s</style>\n<rect class=\"ground\" width=\"%d\" height=\"%d\" rx=\"12\"/>\n", chartStyle, chartWidth, height)
	text(&b, "title", 24, 36, "CPU time of one operation")
	text(&b, "small", 24, 58, fmt.Sprintf("%s · %d workers · %g s each · %d CPUs · RSA-2048 signature %.2f ms%s",
		r.Issuer, r.Workers, r.Seconds, r.CPUs, r.RSASign, r.bareText()))
	fmt.Fprintf(&b, `<rect class="server" x="24" y="68" width="10" height="10"/>`)
	text(&b, "small", 40, 77, "server")
	fmt.Fprintf(&b, `<rect class="database" x="94" y="68" width="10" height="10"/>`)
	text(&b, "small", 110, 77, "database")
	fmt.Fprintf(&b, `<line class="limit" x1="178" y1="66" x2="178" y2="80"/>`)
	text(&b, "small", 186, 77, "at most")
	fastest := 0.0
	for _, x := range r.Results {
		fastest = max(fastest, x.Rate)
	}
	for i, x := range r.Results {
		x.draw(&b, float64(chartTop+i*rowHeight), r.yard(x), fastest)
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) bareText() string {
	if r.Bare == nil {
		return ""
	}
	return fmt.Sprintf(" · bare handler %.3f ms", r.Bare.ServerCPU)
}

func (r Result) draw(b *strings.Builder, y, yard, fastest float64) {
	text(b, "", 24, y+20, r.Operation)
	cpu := r.ServerCPU + r.DatabaseCPU
	switch {
	case r.Errors > 0:
		text(b, "bad", labelWidth, y+20, "failed")
		return
	case r.Skipped != "":
		text(b, "small", labelWidth, y+20, r.Skipped)
		return
	}
	fmt.Fprintf(b, `<rect class="track" x="%d" y="%.1f" width="%d" height="22" rx="4"/>`, labelWidth, y+4, barWidth)
	if cpu == 0 {
		bar(b, "server", y, 0, r.Rate/max(fastest, 1))
		text(b, "", labelWidth+barWidth+12, y+20, fmt.Sprintf("%.0f/s", r.Rate))
		return
	}
	scale := max(cpu, r.Limit*yard) * 1.15
	bar(b, "server", y, 0, r.ServerCPU/scale)
	bar(b, "database", y, r.ServerCPU/scale, r.DatabaseCPU/scale)
	if limit := r.Limit * yard; limit > 0 {
		x := labelWidth + barWidth*limit/scale
		fmt.Fprintf(b, `<line class="limit" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, x, y, x, y+30)
	}
	class, told := "", fmt.Sprintf("%.3f ms", cpu)
	if r.Ratio > 0 {
		told += fmt.Sprintf(" · %.2f of %g ×", r.Ratio, r.Limit)
	}
	if r.over() {
		class = "bad"
	}
	text(b, class, labelWidth+barWidth+12, y+20, told)
}

func bar(b *strings.Builder, class string, y, from, size float64) {
	fmt.Fprintf(b, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="22"/>`, class, labelWidth+barWidth*from, y+4, barWidth*min(size, 1))
}

func text(b *strings.Builder, class string, x, y float64, s string) {
	fmt.Fprintf(b, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", class, x, y, html.EscapeString(s))
}
