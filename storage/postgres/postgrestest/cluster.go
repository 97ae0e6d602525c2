package postgrestest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrMissing says that PostgreSQL's programs are not installed.
var ErrMissing = errors.New("PostgreSQL's initdb and pg_ctl were not found, neither in PATH nor in /usr/lib/postgresql/*/bin")

// Options say how a cluster runs.
type Options struct {
	// Durable keeps fsync on, as a server has it; without it the cluster is faster and loses data if the machine stops.
	Durable bool
}

// Cluster is a running server with an empty data folder of its own, on a random port of 127.0.0.1. It ends with Stop, or with the process that
// started it, however that ends.
type Cluster struct {
	pid       int
	url       string // of database "postgres"
	databases atomic.Int64
	watcher   *exec.Cmd
	alive     io.Closer // closing it makes the watcher stop the cluster
}

// New starts a cluster. PostgreSQL refuses to run as root: then it runs as user postgres, or else nobody.
func New(o Options) (*Cluster, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	who, err := unprivileged()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "gatehouse-postgres-")
	if err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	c, err := start(bin, dir, who, o)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return c, nil
}

func start(bin, dir string, who *syscall.Credential, o Options) (*Cluster, error) {
	password, data := rand.Text(), filepath.Join(dir, "data")
	secret := filepath.Join(dir, "password")
	if err := os.WriteFile(secret, []byte(password+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("write password: %w", err)
	}
	if who != nil {
		for _, path := range []string{dir, secret} {
			if err := os.Chown(path, int(who.Uid), int(who.Gid)); err != nil {
				return nil, fmt.Errorf("give folder away: %w", err)
			}
		}
	}
	if err := run(who, filepath.Join(bin, "initdb"), "-D", data, "-U", "gatehouse", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--pwfile="+secret,
		"--auth-local=trust", "--auth-host=md5"); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	options := fmt.Sprintf("-h 127.0.0.1 -p %d -k %s -c max_connections=200 -c fsync=%t -c full_page_writes=%t -c logging_collector=off", port, dir,
		o.Durable, o.Durable)
	if err := run(who, filepath.Join(bin, "pg_ctl"), "-D", data, "-w", "-t", "30", "-s", "-l", filepath.Join(dir, "log"), "-o", options, "start"); err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		return nil, fmt.Errorf("%w\n%s", err, log)
	}
	c := &Cluster{url: fmt.Sprintf("postgres://gatehouse:%s@127.0.0.1:%d/postgres?sslmode=disable", password, port)}
	if c.pid, err = postmaster(data); err == nil {
		err = c.watch(filepath.Join(bin, "pg_ctl"), data, dir, who)
	}
	if err != nil {
		return nil, errors.Join(err, run(who, filepath.Join(bin, "pg_ctl"), "-D", data, "-m", "immediate", "stop"))
	}
	return c, nil
}

// watch starts a small process that waits for the end of its input, which nobody but this process holds open, and then stops the cluster.
func (c *Cluster) watch(ctl, data, dir string, who *syscall.Credential) error {
	const script = `cat >/dev/null; cd /; "$1" -D "$2" -m immediate -s stop; rm -rf "$3"`
	c.watcher = exec.Command("/bin/sh", "-c", script, "sh", ctl, data, dir)
	c.watcher.SysProcAttr = &syscall.SysProcAttr{Credential: who, Setsid: true}
	c.watcher.Dir = dir
	input, err := c.watcher.StdinPipe()
	if err != nil {
		return fmt.Errorf("start watcher: %w", err)
	}
	c.alive = input
	if err := c.watcher.Start(); err != nil {
		return fmt.Errorf("start watcher: %w", err)
	}
	return nil
}

// Stop ends the cluster at once and deletes its data.
func (c *Cluster) Stop() error {
	if err := c.alive.Close(); err != nil {
		return fmt.Errorf("stop cluster: %w", err)
	}
	_ = c.watcher.Wait() // the folder is of the cluster's user, its parent may not let it be removed: not worth an error
	return nil
}

// PID is the process id of the server; its children serve the connections.
func (c *Cluster) PID() int { return c.pid }

// Database creates an empty database and returns its URL and a function that drops it, ending whatever connections it still has.
func (c *Cluster) Database(ctx context.Context) (url string, drop func() error, err error) {
	return c.clone(ctx, "template1")
}

// clone is Database with what another database holds, to which nobody is connected.
func (c *Cluster) clone(ctx context.Context, from string) (url string, drop func() error, err error) {
	name := fmt.Sprintf("gatehouse_%d", c.databases.Add(1))
	if err := c.admin(ctx, "CREATE DATABASE "+name+" TEMPLATE "+from); err != nil {
		return "", nil, err
	}
	drop = func() error { return c.admin(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)") }
	return strings.Replace(c.url, "/postgres?", "/"+name+"?", 1), drop, nil
}

func (c *Cluster) admin(ctx context.Context, statement string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.url)
	if err != nil {
		return fmt.Errorf("connect to cluster: %w", err)
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}

// programs finds the folder of PostgreSQL's programs, of the newest version where there are several.
func programs() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is well formed
	if len(found) == 0 {
		return "", ErrMissing
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // not a number: oldest
		return n
	}
	sort.Slice(found, func(i, j int) bool { return version(found[i]) > version(found[j]) })
	return filepath.Dir(found[0]), nil
}

// unprivileged is the user that the cluster runs as; nil means ours.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr == nil && gidErr == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody")
}

// run runs a program as a user, without this process's environment of locale and PG variables.
func run(who *syscall.Credential, program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	out, err := os.CreateTemp("", "gatehouse-postgres-out-") // a pipe would stay open in the server
	if err != nil {
		return fmt.Errorf("run %s: %w", program, err)
	}
	defer func() { _, _ = out.Close(), os.Remove(out.Name()) }()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(out.Name())
		return fmt.Errorf("run %s: %w: %s", filepath.Base(program), err, bytes.TrimSpace(text))
	}
	return nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a port: %w", err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// postmaster reads the server's process id, the first line of its pid file.
func postmaster(data string) (int, error) {
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return 0, fmt.Errorf("read pid of the cluster: %w", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		return 0, fmt.Errorf("read pid of the cluster: %w", err)
	}
	return pid, nil
}
