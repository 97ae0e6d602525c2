package provider_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"gatehouse/provider"
	"gatehouse/provider/outbound"
	"gatehouse/storage"
)

// Section J of the attack list at the endpoints: whatever makes this server fetch or post, at registration or when it is used, goes nowhere inside. Package outbound tests
// the client alone.

// loopbackDNS answers every name with 127.0.0.1.
func loopbackDNS(t *testing.T) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	go func() {
		for buf := make([]byte, 1500); ; {
			n, peer, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response, m.Additionals = true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}}}
			}
			if reply, err := m.Pack(); err == nil {
				_, _ = server.WriteTo(reply, peer)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

// trap counts who connects to a port of this machine.
func trap(t *testing.T) (port string, connections *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	connections = &atomic.Int64{}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			conn.Close()
		}
	}()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port, connections
}

// reaching uses another outbound client.
func reaching(t *testing.T, o outbound.Options) func(*provider.Options) {
	t.Helper()
	if o.FailureFloor == 0 {
		o.FailureFloor = -1
	}
	c, err := outbound.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return func(o *provider.Options) { o.Outbound = c }
}

// fetches are all ways to make the server fetch or post to an address that a client named. Each returns what the outside was told, after the server has tried.
func (s *server) fetches(b *browser, k *assertionKeys) map[string]func(id, uri string) string {
	client := func(id string, change func(*storage.Client)) {
		s.client(func(c *storage.Client) { c.ID, c.FirstParty = id, true }, change)
	}
	logged := func(what string) {
		s.eventually(what, func() bool { return strings.Contains(s.Log.String(), what) })
	}
	return map[string]func(id, uri string) string{
		"jwks_uri of an assertion": func(id, uri string) string {
			s.daemon(func(c *storage.Client) { c.ID, c.AuthMethod, c.JWKSURI = id, "private_key_jwt", uri })
			a := s.asserted(k.sign(s, id))
			s.wantError(a, http.StatusUnauthorized, "invalid_client")
			return a.Raw
		},
		"jwks_uri of a request object": func(id, uri string) string {
			client(id, func(c *storage.Client) { c.JWKSURI = uri })
			params := s.sent(b.get(s.withObject(k.object(s), url.Values{"client_id": {id}, "redirect_uri": {callback}})))
			s.wantErrorParams(params, "invalid_request_object", "")
			return params.Get("error_description")
		},
		"jwks_uri of a pushed object": func(id, uri string) string {
			client(id, func(c *storage.Client) { c.JWKSURI = uri })
			a := s.post("/oauth2/par", url.Values{"request": {k.object(s)}}, as(id, clientSecret))
			s.wantError(a, http.StatusBadRequest, "invalid_request_object")
			return a.Raw
		},
		"request_uri": func(id, uri string) string {
			client(id, func(c *storage.Client) { c.RequestURIs = []string{uri} })
			params := s.sent(b.get(s.URL + "/oauth2/authorize?" + url.Values{"client_id": {id}, "request_uri": {uri}, "redirect_uri": {callback}}.Encode()))
			if got := params.Get("error"); got != "invalid_request_uri" && got != "invalid_request_object" {
				s.Errorf("request_uri %s: %v", uri, params)
			}
			return params.Get("error_description")
		},
		"sector_identifier_uri": func(_, uri string) string {
			a := s.call("POST", "/oauth2/register", "", webApp(object{"subject_type": "pairwise", "sector_identifier_uri": uri}))
			s.wantError(a, http.StatusBadRequest, "invalid_client_metadata")
			return a.Raw
		},
		"sector_identifier_uri of an update": func(_, uri string) string {
			made := s.register("", nil)
			a := s.manage("PUT", made, "", webApp(object{"client_id": made.Str("client_id"), "subject_type": "pairwise", "sector_identifier_uri": uri}))
			s.wantError(a, http.StatusBadRequest, "invalid_client_metadata")
			return a.Raw
		},
		"logo_uri": func(_, uri string) string {
			a := s.call("POST", "/oauth2/register", "", webApp(object{"logo_uri": uri}))
			if a.Status != http.StatusCreated {
				return "refused at registration"
			}
			logged(`"client":"` + a.Str("client_id") + `","cause":`)
			return s.fetch(s.URL + "/client-logo/" + a.Str("client_id")).Raw
		},
		"backchannel_logout_uri": func(id, uri string) string {
			client(id, func(c *storage.Client) { c.BackchannelLogoutURI = uri })
			guest := s.browser("ada@example.com")
			guest.code(url.Values{"client_id": {id}})
			out := guest.submit(guest.get(s.URL+"/account"), "logout", nil)
			s.eventually("the delivery to "+id+" failed", func() bool {
				for line := range strings.Lines(s.Log.String()) {
					if strings.Contains(line, `"event":"logout.failed"`) && strings.Contains(line, `"client":"`+id+`"`) {
						return true
					}
				}
				return false
			})
			return http.StatusText(out.StatusCode)
		},
	}
}

func outboundServer(t *testing.T, o outbound.Options) (*server, map[string]func(id, uri string) string) {
	t.Helper()
	s := start(t, "memory", registers("open", everyOption, quickKeys), reaching(t, o))
	s.client(func(c *storage.Client) { c.FirstParty = true })
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	b.code(nil)
	return s, s.fetches(b, newAssertionKeys(t))
}

func idOf(name string) string {
	return strings.NewReplacer(" ", "-", "[", "", "]", "", ":", ".", "/", "-", "%", "").Replace(name)
}

// Row 126: a name that points inside, and addresses inside that a registration would have refused but a store has, are never connected to, whatever makes us try.
func TestRow126NoUseOfAnAddressReachesInside(t *testing.T) {
	port, connections := trap(t)
	s, fetches := outboundServer(t, outbound.Options{Resolver: loopbackDNS(t)})
	for name, fetch := range fetches {
		hosts := []string{"https://rebound.example:" + port + "/x"}
		if !strings.HasPrefix(name, "sector") && !strings.HasPrefix(name, "logo") { // those are checked and used in one
			for _, host := range []string{"127.0.0.1", "[::1]", "0.0.0.0", "169.254.169.254", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "2130706433", "0x7f.1", "0177.0.0.1", "localhost", "localhost."} {
				hosts = append(hosts, "https://"+host+":"+port+"/x")
			}
			hosts = append(hosts, "http://127.0.0.1:"+port+"/x", "http://rebound.example:"+port+"/x", "file:///etc/passwd", "gopher://127.0.0.1:"+port+"/x")
		}
		for i, uri := range hosts {
			t.Run("row 126 "+name+" "+uri, func(t *testing.T) {
				told := fetch(idOf(name)+"-"+string(rune('a'+i)), uri)
				for _, detail := range []string{"127.0.0.1", "refused by", "not public", "connection", "rebound", port} {
					if strings.Contains(told, detail) {
						t.Errorf("the answer tells of the network: %s", told)
					}
				}
			})
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("row 126: %d connections went inside", n)
	}
	if !strings.Contains(s.Log.String(), "not public") {
		t.Error("the log does not say why nothing was fetched")
	}
	// The same with the name allowed: every use connects, so the ones above tried.
	for name := range fetches {
		t.Run("control "+name, func(t *testing.T) {
			_, fetches := outboundServer(t, outbound.Options{Resolver: loopbackDNS(t), Allow: []string{"rebound.example"}})
			connections.Store(0)
			fetches[name]("control", "https://rebound.example:"+port+"/x")
			if connections.Load() == 0 {
				t.Errorf("%s connects nowhere at all", name)
			}
		})
	}
}

// Rows 81, 128, 130: redirects are not followed, floods and drips are cut, and none of it is told.
func TestRows128To130HostileHostsAtEveryUse(t *testing.T) {
	t.Parallel()
	port, connections := trap(t)
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := strings.TrimPrefix(r.URL.Path, "/"); path {
		case "301", "302", "303", "307", "308":
			w.Header().Set("Location", "http://127.0.0.1:"+port+"/inside")
			w.WriteHeader(map[string]int{"301": 301, "302": 302, "303": 303, "307": 307, "308": 308}[path])
		case "gzip":
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write([]byte(strings.Repeat("\x1f\x8b", 1000)))
		case "flood":
			for range 200 {
				if _, err := w.Write([]byte(strings.Repeat(" ", 64<<10))); err != nil {
					return
				}
			}
		case "drip":
			for w.WriteHeader(http.StatusOK); ; {
				_, _ = w.Write([]byte(" "))
				w.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
					return
				case <-time.After(50 * time.Millisecond):
				}
			}
		case "headers":
			for i := range 2000 {
				w.Header().Set("X-Pad-"+strings.Repeat("x", i%50)+string(rune('a'+i%26)), strings.Repeat("y", 1000))
			}
		default:
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte("inner secret"))
		}
	}))
	t.Cleanup(host.Close)
	_, fetches := outboundServer(t, outbound.Options{Allow: []string{"127.0.0.1"}, Timeout: 500 * time.Millisecond})
	for name, fetch := range fetches {
		for _, path := range []string{"301", "302", "303", "307", "308", "gzip", "flood", "drip", "headers", "500"} {
			if name == "backchannel_logout_uri" && (path == "gzip" || path == "flood" || path == "drip" || path == "headers") {
				continue // its body is not read; package outbound tests that
			}
			t.Run("row 128 "+name+" "+path, func(t *testing.T) {
				began := time.Now()
				told := fetch(idOf(name)+"-"+path, host.URL+"/"+path)
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("took %s", took)
				}
				if strings.Contains(told, "inner") || strings.Contains(told, port) || strings.Contains(told, "gzip") || strings.Contains(told, "status") && !strings.Contains(told, "status 200") {
					t.Errorf("the answer tells what is there: %s", told)
				}
			})
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("row 128: %d redirects were followed", n)
	}
}

// Row 129: whoever names addresses cannot tell from the answer what is behind them.
func TestRow129AnswersDoNotTellWhatIsThere(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	plain := strings.Replace(web.URL, "http://", "https://", 1)
	_, fetches := outboundServer(t, outbound.Options{Allow: []string{web.Listener.Addr().String(), closed.Addr().String(), "no-such-host.example"}, Resolver: loopbackDNS(t)})
	for name, fetch := range fetches {
		if name == "logo_uri" || name == "backchannel_logout_uri" {
			continue // nobody is told anything
		}
		first := ""
		for i, uri := range []string{"https://" + closed.Addr().String() + "/x", web.URL + "/x", plain + "/x", "https://inside.example/x", "https://no-such-host.example:1/x"} {
			told := fetch(idOf(name)+"-o"+string(rune('a'+i)), uri)
			if first == "" {
				first = told
			}
			if told != first || strings.Contains(told, uri) {
				t.Errorf("row 129: %s: %s gives %q, another address %q", name, uri, told, first)
			}
		}
	}
}
