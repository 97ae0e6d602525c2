package bench

import (
	"bufio"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const bareBody = `{"status":"ok","detail":"what net/http costs without anything on top of it"}` + "\n"

// ServeBare is the yardstick: a net/http server whose one handler writes a small JSON. It prints its URL and serves until ctx or in ends.
func ServeBare(ctx context.Context, listen string, in io.Reader, out io.Writer) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, in) // ends when the parent does
		cancel()
	}()
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, bareBody) // the bench has gone if this fails
	})}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if _, err := fmt.Fprintf(out, "http://%s/\n", l.Addr()); err != nil {
		return fmt.Errorf("print address: %w", err)
	}
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// baseline holds the yardsticks' processes and their readings.
type baseline struct {
	url     string
	pid     int
	command *exec.Cmd
	input   io.Closer
	key     *rsa.PrivateKey
	bares   []Result
	signs   []time.Duration
}

func startBaseline(ctx context.Context, o Options) (*baseline, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	b := &baseline{key: key}
	if len(o.Bare) == 0 {
		return b, nil
	}
	b.command = exec.CommandContext(ctx, o.Bare[0], o.Bare[1:]...)
	if b.input, err = b.command.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start bare handler: %w", err)
	}
	output, err := b.command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start bare handler: %w", err)
	}
	if err := b.command.Start(); err != nil {
		return nil, fmt.Errorf("start bare handler: %w", err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		b.stop()
		return nil, fmt.Errorf("start bare handler: it printed no address: %w", err)
	}
	b.url, b.pid = strings.TrimSpace(line), b.command.Process.Pid
	return b, nil
}

func (b *baseline) stop() {
	if b.command == nil {
		return
	}
	_ = b.input.Close()
	_ = b.command.Wait() // how it ends is of no interest any more
	b.command = nil
}

// measure takes one reading of each yardstick.
func (b *baseline) measure(ctx context.Context, o Options) error {
	sign, err := b.sign(min(time.Second, o.Duration))
	if err != nil {
		return err
	}
	b.signs = append(b.signs, sign)
	if b.url == "" {
		return nil
	}
	e := &engine{o: Options{Workers: o.Workers, Duration: o.Duration, Server: []int{b.pid}}}
	workers, err := e.hire(ctx)
	if err != nil {
		return err
	}
	r, err := e.operate(ctx, operation{name: againstBare, run: b.get}, workers)
	if err == nil && r.FirstError != "" {
		err = errors.New(r.FirstError)
	}
	if err != nil {
		return fmt.Errorf("measure bare handler: %w", err)
	}
	b.bares = append(b.bares, r)
	return nil
}

func (b *baseline) get(ctx context.Context, w *worker) error {
	a, err := w.send(ctx, http.MethodGet, b.url, nil, "")
	if err == nil && (a.Status != http.StatusOK || string(a.Body) != bareBody) {
		err = fmt.Errorf("bare handler: %s", a.String())
	}
	return err
}

// sign is the CPU time of one RSA-2048 PKCS #1 v1.5 signature (RS256), on one thread.
func (b *baseline) sign(d time.Duration) (time.Duration, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	digest := sha256.Sum256([]byte("what an ID token costs at least"))
	before, err := threadTime()
	if err != nil {
		return 0, err
	}
	n := 0
	for end := time.Now().Add(d); time.Now().Before(end); n++ {
		if _, err := rsa.SignPKCS1v15(nil, b.key, crypto.SHA256, digest[:]); err != nil {
			return 0, fmt.Errorf("sign: %w", err)
		}
	}
	after, err := threadTime()
	return (after - before) / time.Duration(max(n, 1)), err
}

// threadTime is the CPU time of the calling thread (getrusage(2), RUSAGE_THREAD).
func threadTime() (time.Duration, error) {
	const thread = 1
	var u syscall.Rusage
	if err := syscall.Getrusage(thread, &u); err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// bare is the mean of the readings; nil if there are none.
func (b *baseline) bare() *Result {
	if len(b.bares) == 0 {
		return nil
	}
	mean := b.bares[0]
	mean.ServerCPU, mean.Rate = 0, 0
	for _, r := range b.bares {
		mean.ServerCPU += r.ServerCPU / float64(len(b.bares))
		mean.Rate += r.Rate / float64(len(b.bares))
	}
	return &mean
}

// rsa is the mean of the readings in milliseconds.
func (b *baseline) rsa() float64 {
	var sum time.Duration
	for _, s := range b.signs {
		sum += s
	}
	return milliseconds(sum) / float64(max(len(b.signs), 1))
}
