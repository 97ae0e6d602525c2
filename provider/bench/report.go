package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// Report is the outcome of a run. Times are in milliseconds, sizes in bytes.
type Report struct {
	Issuer  string    `json:"issuer"`
	Started time.Time `json:"started"`
	Go      string    `json:"go"`
	CPUs    int       `json:"cpus"`
	Workers int       `json:"workers"`
	// Seconds is how long each operation was driven.
	Seconds float64 `json:"seconds"`
	// IdleRSS is the server's resident memory before the first operation; 0 without its process id.
	IdleRSS int64 `json:"idle_rss,omitempty"`
	// Bare is the bare handler, the mean of a reading before and one after; nil if it was not run.
	Bare *Result `json:"bare,omitempty"`
	// RSASign is the CPU time of one RSA-2048 signature.
	RSASign float64  `json:"rsa2048_sign_ms"`
	Results []Result `json:"results"`
}

// Result is one operation.
type Result struct {
	Operation   string  `json:"operation"`
	Count       int     `json:"count"`
	Rate        float64 `json:"per_second"`
	P50         float64 `json:"p50_ms"`
	P95         float64 `json:"p95_ms"`
	P99         float64 `json:"p99_ms"`
	ServerCPU   float64 `json:"server_cpu_ms,omitempty"`
	DatabaseCPU float64 `json:"database_cpu_ms,omitempty"`
	RSS         int64   `json:"rss,omitempty"`
	Comparison
	Trouble
}

// Comparison sets the CPU time of server and database against a yardstick.
type Comparison struct {
	// Against is "bare" or "rsa2048"; empty if nothing is promised.
	Against string `json:"against,omitempty"`
	// Ratio is 0 if the CPU time or the yardstick was not measured.
	Ratio float64 `json:"ratio,omitempty"`
	Limit float64 `json:"limit,omitempty"`
}

// Trouble says why there is no result, or that it is worth nothing.
type Trouble struct {
	Errors     int    `json:"errors,omitempty"`
	FirstError string `json:"first_error,omitempty"`
	Skipped    string `json:"skipped,omitempty"`
}

func (r *Result) fill(t taken, before, after used) {
	r.Count = len(t.latencies)
	if r.Count == 0 {
		return
	}
	r.Rate = float64(r.Count) / t.elapsed.Seconds()
	r.P50, r.P95, r.P99 = milliseconds(percentile(t.latencies, 50)), milliseconds(percentile(t.latencies, 95)), milliseconds(percentile(t.latencies, 99))
	r.ServerCPU = milliseconds(after.server-before.server) / float64(r.Count)
	r.DatabaseCPU = milliseconds(after.database-before.database) / float64(r.Count)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// compare fills in the ratios.
func (r *Report) compare() {
	for i := range r.Results {
		result := &r.Results[i]
		yard := r.yard(*result)
		if cpu := result.ServerCPU + result.DatabaseCPU; cpu > 0 && yard > 0 {
			result.Ratio = cpu / yard
		}
	}
}

// yard is the CPU time of the yardstick that belongs to x, 0 if there is none.
func (r *Report) yard(x Result) float64 {
	switch {
	case x.Against == againstRSA:
		return r.RSASign
	case x.Against == againstBare && r.Bare != nil:
		return r.Bare.ServerCPU
	}
	return 0
}

// Failed lists what went wrong: operations with errors, and those over their limit.
func (r *Report) Failed() []string {
	var list []string
	for _, result := range r.Results {
		if result.Errors > 0 {
			list = append(list, result.Operation+": "+result.FirstError)
		} else if result.over() {
			list = append(list, fmt.Sprintf("%s: %.2f times %s, at most %g are allowed", result.Operation, result.Ratio, result.Against, result.Limit))
		}
	}
	return list
}

func (r Result) over() bool { return r.Limit > 0 && r.Ratio > r.Limit }

// WriteJSON writes the report.
func (r *Report) WriteJSON(w io.Writer) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s\n", text)
	return err
}

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	fmt.Fprintf(w, "%s, %d workers, %g s each, %d CPUs, %s\n", r.Issuer, r.Workers, r.Seconds, r.CPUs, r.Go)
	fmt.Fprintf(w, "one RSA-2048 signature: %.3f ms CPU", r.RSASign)
	if r.Bare != nil {
		fmt.Fprintf(w, "; bare net/http handler: %.4f ms CPU, %.0f/s", r.Bare.ServerCPU, r.Bare.Rate)
	}
	if r.IdleRSS > 0 {
		fmt.Fprintf(w, "; server idle: %.1f MB", megabytes(r.IdleRSS))
	}
	fmt.Fprint(w, "\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "operation\tops/s\tp50 ms\tp95 ms\tp99 ms\tserver CPU ms\tdatabase CPU ms\tRSS MB\tratio\tat most\t")
	for _, x := range r.Results {
		if x.Skipped != "" {
			fmt.Fprintf(t, "%s\t-\t-\t-\t-\t-\t-\t-\t-\t-\t\n", x.Operation)
			continue
		}
		fmt.Fprintf(t, "%s\t%.0f\t%.2f\t%.2f\t%.2f\t%s\t%s\t%s\t%s\t%s\t\n", x.Operation, x.Rate, x.P50, x.P95, x.P99,
			number("%.3f", x.ServerCPU), number("%.3f", x.DatabaseCPU), number("%.1f", megabytes(x.RSS)), x.times(x.Ratio), x.times(x.Limit))
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	for _, x := range r.Results {
		if x.Skipped != "" {
			fmt.Fprintf(w, "%s: %s\n", x.Operation, x.Skipped)
		}
	}
	for _, text := range r.Failed() {
		fmt.Fprintln(w, "FAILED "+text)
	}
	return nil
}

func (r Result) times(x float64) string {
	if x == 0 || r.Against == "" {
		return "-"
	}
	return fmt.Sprintf("%.2f x %s", x, r.Against)
}

func number(format string, x float64) string {
	if x == 0 {
		return "-"
	}
	return fmt.Sprintf(format, x)
}

func megabytes(n int64) float64 { return float64(n) / (1 << 20) }
