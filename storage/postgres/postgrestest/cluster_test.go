package postgrestest_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"gatehouse/storage/postgres/postgrestest"
)

func TestEachCallGetsAnEmptyDatabase(t *testing.T) {
	a, b := postgrestest.Start(t), postgrestest.Start(t)
	for _, url := range []string{a, b} {
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), "CREATE TABLE mine (id INT)"); err != nil {
			t.Error(err)
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestDurableUnlessForTests(t *testing.T) {
	postgrestest.Start(t) // skips without PostgreSQL
	url, stop, err := postgrestest.StartMain()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	var fsync string
	if err := conn.QueryRow(t.Context(), "SHOW fsync").Scan(&fsync); err != nil || fsync != "on" {
		t.Errorf("fsync %s, %v", fsync, err)
	}
}

const childVariable = "GATEHOUSE_POSTGRESTEST_CHILD"

// The cluster must not outlive its process, even if that is killed.
func TestClusterEndsWithItsProcess(t *testing.T) {
	if os.Getenv(childVariable) != "" {
		c, err := postgrestest.New(postgrestest.Options{})
		if err != nil {
			fmt.Println("error:", err)
			return
		}
		fmt.Println("pid:", c.PID())
		select {}
	}
	postgrestest.Start(t) // skips without PostgreSQL
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), childVariable+"=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	pid := 0
	for lines := bufio.NewScanner(out); pid == 0 && lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "pid: "); ok {
			pid, _ = strconv.Atoi(text)
		}
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // killed
	if pid == 0 {
		t.Fatal("the child started no cluster")
	}
	for start := time.Now(); !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH); time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			t.Fatalf("postmaster %d still runs", pid)
		}
	}
}
