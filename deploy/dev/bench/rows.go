package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"gatehouse/provider/bench"
)

// few is the small table of the comparison.
const few = 1000

// touching are the operations that read or write the tables that grow.
var touching = []string{"client_credentials", "introspect", "userinfo", "authorize_token", "refresh", "revoke"}

// insert adds unused refresh tokens of other users, one grant each, the way a busy server has them.
const insert = `
INSERT INTO tokens (kind, signature, grant_id, client_id, subject, session_id, payload, created, expires, grant_expires, purge_at)
SELECT 'refresh', md5(g::text) || md5('x' || g::text), lpad(to_hex(g), 8, '0') || '-0000-7000-8000-000000000000', 'client-' || g %% 100, 'subject-' || g %% 100000, '',
       decode(repeat('7b', 400), 'hex'), t, t + 14 * 86400000000::bigint, t + 90 * 86400000000::bigint, t + 14 * 86400000000::bigint
FROM generate_series(%d, %d) g, (SELECT (extract(epoch FROM now()) * 1000000)::bigint AS t) clock`

// fullTables sets the cost of operations with few rows against that with many.
func (s settings) fullTables(ctx context.Context, v *server, url string) error {
	if s.rows <= few {
		return fmt.Errorf("-rows must be more than %d", few)
	}
	var reports []*bench.Report
	for i, rows := range []int{few, s.rows} {
		from := 1
		if i > 0 {
			from = few + 1
		}
		fmt.Printf("\n== PostgreSQL with %d stored tokens\n", rows)
		if err := psql(ctx, url, fmt.Sprintf(insert, from, rows), "VACUUM (ANALYZE) tokens", "CHECKPOINT"); err != nil {
			return err
		}
		report, err := s.bench(ctx, v, fmt.Sprintf("postgres-%d", rows), touching...)
		if err != nil {
			return err
		}
		if err := judge(report, "postgres", false); err != nil {
			return err
		}
		reports = append(reports, report)
	}
	fmt.Print("\nCPU time of server and database, in RSA-2048 signatures of the same run\n")
	var broken []error
	for i, small := range reports[0].Results {
		large := reports[1].Results[i]
		before, after := inSignatures(reports[0], small), inSignatures(reports[1], large)
		fmt.Printf("%20s  %.3f with %d tokens, %.3f with %d: factor %.2f\n", small.Operation, before, few, after, s.rows, after/before)
		if after > before*growth {
			broken = append(broken, fmt.Errorf("%s grows with the number of rows: %.3f, then %.3f", small.Operation, before, after))
		}
	}
	return errors.Join(broken...)
}

// inSignatures is the cost as a multiple of an RSA signature, so that a machine that has changed its speed in between does not matter.
func inSignatures(report *bench.Report, r bench.Result) float64 {
	return (r.ServerCPU + r.DatabaseCPU) / report.RSASign
}

func psql(ctx context.Context, url string, statements ...string) error {
	for _, statement := range statements {
		c := exec.CommandContext(ctx, "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", statement, url)
		c.Stderr = os.Stderr
		if err := c.Run(); err != nil {
			return fmt.Errorf("fill tables: %w", err)
		}
	}
	return nil
}
