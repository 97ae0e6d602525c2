package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// server is the program under measurement, run in a folder of its own as a service would run it, with its log in a file.
type server struct {
	bin, dir, storage string
	database          int // process id of PostgreSQL's first process; 0 for SQLite
	address, key      string
	process           *exec.Cmd
	log               *os.File
}

// Only limits that would end the measurement are lifted; everything else is as config.yaml has it.
const config = `issuer: http://%[1]s
server:
  listen: %[1]s
limits:
  interactions: 0
  login_ip: 0
`

func (v *server) configure() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("find a port: %w", err)
	}
	v.address = l.Addr().String()
	if err := l.Close(); err != nil {
		return fmt.Errorf("find a port: %w", err)
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	v.key = base64.StdEncoding.EncodeToString(key)
	return os.WriteFile(filepath.Join(v.dir, "config.yaml"), fmt.Appendf(nil, config, v.address), 0o600)
}

func (v *server) env() []string {
	env := []string{"GATEHOUSE_STORAGE_URL=" + v.storage, "PATH=" + os.Getenv("PATH"), "HOME=" + v.dir}
	if !strings.HasPrefix(v.storage, "sqlite:") {
		env = append(env, "GATEHOUSE_SECRETS_KEYS="+v.key)
	}
	return env
}

// start returns how long it took until /readyz answered 200.
func (v *server) start(ctx context.Context) (time.Duration, error) {
	var err error
	if v.log, err = os.OpenFile(filepath.Join(v.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return 0, err
	}
	v.process = exec.CommandContext(ctx, v.bin, "serve")
	v.process.Dir, v.process.Env, v.process.Stderr = v.dir, v.env(), v.log
	began := time.Now()
	if err := v.process.Start(); err != nil {
		return 0, fmt.Errorf("start server: %w", err)
	}
	for time.Since(began) < 30*time.Second {
		resp, err := http.Get("http://" + v.address + "/readyz")
		if err == nil {
			_ = resp.Body.Close() // only the status counts
			if resp.StatusCode == http.StatusOK {
				return time.Since(began), nil
			}
		}
		time.Sleep(2 * time.Millisecond)
	}
	text, _ := os.ReadFile(v.log.Name()) // a hint beside the error
	return 0, errors.Join(fmt.Errorf("the server is not ready after 30 s:\n%s", text), v.stop())
}

func (v *server) stop() error {
	if err := v.process.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop server: %w", err)
	}
	return errors.Join(v.process.Wait(), v.log.Close())
}
