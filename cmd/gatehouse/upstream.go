package main

import (
	"cmp"

	"github.com/spf13/cobra"

	"gatehouse/provider/federation"
	"gatehouse/provider/upstream"
)

func (p *program) upstreamCommand() *cobra.Command {
	return group("upstream", "See and try the providers that people can sign in with", p.upstreamList(), p.upstreamTest())
}

// upstreamView is an upstream as the command line shows one.
type upstreamView struct {
	ID     string `json:"id"`
	Type   string `json:"type"`
	Name   string `json:"name"`
	Issuer string `json:"issuer,omitempty"`
	Tenant string `json:"tenant,omitempty"`
	URL    string `json:"url,omitempty"`
	// RedirectURI is what to register at the provider.
	RedirectURI string `json:"redirect_uri"`
}

func viewUpstream(issuer string, u upstream.Config) upstreamView {
	name := u.Name
	if kind := upstream.FindKind(u.Type); name == "" && kind != nil {
		name = kind.Name
	}
	return upstreamView{u.ID, u.Type, name, u.Issuer, u.Tenant, u.URL, federation.RedirectURI(issuer, u.ID)}
}

func (p *program) upstreamList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the upstreams of the configuration, with the redirect URI to register at each provider", Args: arguments(),
		RunE: func(*cobra.Command, []string) error {
			cfg, err := p.load()
			if err != nil {
				return err
			}
			out := p.List("ID", "TYPE", "NAME", "WHERE", "REDIRECT URI")
			for _, u := range upstreams(cfg) {
				v := viewUpstream(cfg.Issuer, u)
				if err := out.Add(v, v.ID, v.Type, v.Name, cmp.Or(v.Issuer, v.URL, v.Tenant, "-"), v.RedirectURI); err != nil {
					return err
				}
			}
			return out.End()
		},
	}
}
