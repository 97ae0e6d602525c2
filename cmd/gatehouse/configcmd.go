package main

import (
	"errors"

	"github.com/spf13/cobra"

	"gatehouse/cmd/gatehouse/config"
)

func (p *program) configCommand() *cobra.Command {
	return group("config", "Check the configuration", p.configValidateCommand())
}

func (p *program) configValidateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "validate", Short: "Check the configuration as serve would, and say all that is wrong with it", Args: arguments(),
		RunE: func(*cobra.Command, []string) error {
			c, err := config.Load(config.Source{File: p.configFile, Env: p.env, Serve: true})
			var faults config.Faults
			if p.JSON && errors.As(err, &faults) {
				if err := p.Show(map[string]any{"valid": false, "faults": faults}); err != nil {
					return err
				}
			}
			if err != nil {
				return err
			}
			return p.Say(map[string]any{"valid": true, "issuer": c.Issuer}, "the configuration is valid; the issuer is %s", c.Issuer)
		},
	}
}
