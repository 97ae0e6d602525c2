package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/provider"
	"gatehouse/provider/mail"
	"gatehouse/provider/web"
	"gatehouse/storage"
)

// connectionsPerPeer bounds the open connections of one address.
const connectionsPerPeer = 200

func (p *program) serveCommand() *cobra.Command {
	var dev bool
	c := &cobra.Command{
		Use: "serve", Short: "Run the server", Args: arguments(),
		Example: "  gatehouse serve --dev                 # in an empty folder: demo user, demo client, playground\n  gatehouse serve --config /etc/gatehouse/config.yaml",
	}
	c.Flags().BoolVar(&dev, "dev", false, "add a demo user, a demo client and a playground; only on a loopback listener")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := config.Load(config.Source{File: p.configFile, Env: p.env, Serve: true, Dev: dev})
		if err != nil {
			return err
		}
		return p.serve(c.Context(), cfg, dev)
	}
	return c
}

// server is a running process: two listeners and the work behind them.
type server struct {
	config   *config.Config
	log      *slog.Logger
	provider *provider.Provider
	public   *http.Server
	ops      *http.Server
	draining atomic.Bool
}

// gcPercent trades memory, of which an idle server has little, for CPU: the live heap is a few megabytes, and collecting it every few megabytes of
// requests costs more than the requests. GOGC overrides it.
const gcPercent = 400

// serve runs until ctx ends or a listener fails.
func (p *program) serve(ctx context.Context, c *config.Config, dev bool) (err error) {
	log := newLogger(p.Err, c.Log)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	// The ports first: if another process has them, nothing is created on disk. Connections wait until the server is assembled.
	public, err := listen(ctx, "server.listen", c.Server.Listen)
	if err != nil {
		return err
	}
	defer public.Close()
	var ops net.Listener
	if c.Ops.Listen != "" {
		if ops, err = listen(ctx, "ops.listen", c.Ops.Listen); err != nil {
			return err
		}
		defer ops.Close()
	}
	store, err := openStore(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return p.serveOn(ctx, c, log, store, public, ops, dev)
}

func (p *program) serveOn(ctx context.Context, c *config.Config, log *slog.Logger, store storage.Store, public, ops net.Listener, dev bool) error {
	ring, err := openRing(ctx, c, store)
	if err != nil {
		return err
	}
	var d *demo
	if dev {
		d = newDemo(c, store, ring)
	}
	s := &server{config: c, log: log}
	if s.provider, err = openProvider(ctx, c, store, ring, log, d); err != nil {
		return err
	}
	return s.run(ctx, public, ops, func(ctx context.Context) error {
		log.Info("listening", "address", public.Addr().String(), "issuer", c.Issuer, "version", version)
		for _, doubt := range doubts(c, public.Addr()) {
			log.Warn(doubt)
		}
		if d == nil {
			return nil
		}
		return d.begin(ctx, p)
	})
}

func listen(ctx context.Context, key, address string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s (%s): %w; stop what uses the port, or choose another one", address, key, err)
	}
	return l, nil
}

// run serves until ctx ends, a listener fails or the beginning fails, and then drains.
func (s *server) run(ctx context.Context, public, ops net.Listener, begin func(context.Context) error) error {
	serving, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	s.public = s.httpServer(s.config.Server.Listen, s.provider.Handler())
	public = web.LimitConns(public, connectionsPerPeer, s.config.Server.Prefixes()...)
	go func() {
		if t := s.config.Server.TLS; t.Cert != "" {
			stop(s.public.ServeTLS(public, t.Cert, t.Key))
			return
		}
		stop(s.public.Serve(public))
	}()
	if ops != nil {
		s.ops = s.httpServer(s.config.Ops.Listen, localNames(s.config.Ops.Listen, s.provider.Ops()))
		go func() { stop(s.ops.Serve(ops)) }()
	}
	jobs, stopJobs := context.WithCancel(context.WithoutCancel(ctx))
	defer stopJobs()
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		_ = s.provider.Run(jobs) // ends with jobs, and logs what fails before
	}()
	if err := begin(serving); err != nil && serving.Err() == nil {
		stop(err)
	}
	<-serving.Done()
	err := s.drain()
	stopJobs()
	<-finished
	if ctx.Err() != nil {
		return err
	}
	return errors.Join(context.Cause(serving), err)
}

func (s *server) httpServer(address string, handler http.Handler) *http.Server {
	h := web.Server(address, s.drainable(handler))
	h.ErrorLog = slog.NewLogLogger(s.log.Handler(), slog.LevelWarn)
	return h
}

// drain says that it is not ready, lets running requests finish, and then closes what is left.
func (s *server) drain() error {
	s.draining.Store(true)
	grace := s.config.Server.ShutdownGrace
	s.log.Info("stopping", "grace", grace.String())
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err := s.public.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		s.log.Warn("requests were cut off", "grace", grace.String())
		err = s.public.Close()
	}
	if s.ops != nil {
		err = errors.Join(err, s.ops.Close())
	}
	s.log.Info("stopped")
	return err
}

// drainable makes /readyz fail while the server drains, so that load balancers look elsewhere.
func (s *server) drainable(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() && r.URL.Path == "/readyz" {
			http.Error(w, "stopping", http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// doubts are settings that are legal and yet rarely meant.
func doubts(c *config.Config, listening net.Addr) []string {
	var out []string
	u, err := url.Parse(c.Issuer)
	if err != nil {
		return nil
	}
	address, ok := listening.(*net.TCPAddr)
	if ok && u.Scheme == "http" && cmp.Or(u.Port(), "80") != strconv.Itoa(address.Port) {
		out = append(out, "the issuer names another port than the one listened on; browsers go to the issuer")
	}
	if u.Scheme == "https" && c.Server.TLS.Cert == "" && len(c.Server.TrustedProxies) == 0 {
		out = append(out, "the issuer is https and this listener is not, but server.trusted_proxies is empty; all users will share the rate limits of the proxy's address")
	}
	if server, err := mail.ParseURL(c.Mail.URL); err == nil && server.Exposed() {
		out = append(out, "mail.url has tls=off; whoever is on the way to the mail server can read its password and every link that is sent")
	}
	return out
}

// localNames keeps a page in a browser on this machine from reading a loopback listener under a name that was rebound to it (security row 134). A
// listener on other addresses is for whoever the network lets in.
func localNames(address string, next http.Handler) http.Handler {
	host, _, err := net.SplitHostPort(address)
	if err != nil || !loopback(host) {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.Host
		if h, _, err := net.SplitHostPort(r.Host); err == nil {
			name = h
		}
		if !loopback(name) {
			http.Error(w, "this listener answers to its loopback address only", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Unmap().IsLoopback()
}

func newLogger(w io.Writer, c config.Log) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // validated
	o := &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
			a.Value = slog.TimeValue(a.Value.Time().UTC().Truncate(time.Millisecond))
		}
		return a
	}}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
