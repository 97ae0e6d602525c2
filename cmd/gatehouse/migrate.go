package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"gatehouse/cmd/gatehouse/console"
)

func (p *program) migrateCommand() *cobra.Command {
	up := &cobra.Command{Use: "up", Short: "Bring the store's schema up to date", Args: arguments(), RunE: func(c *cobra.Command, _ []string) error {
		return p.migrateUp(c)
	}}
	status := &cobra.Command{Use: "status", Short: "List the schema changes and when they were applied", Args: arguments(), RunE: func(c *cobra.Command, _ []string) error {
		return p.migrateStatus(c)
	}}
	return group("migrate", "Look after the store's schema", up, status)
}

func (p *program) migrateUp(c *cobra.Command) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	runner, err := openMigrations(c.Context(), cfg)
	if err != nil {
		return err
	}
	defer runner.Close()
	applied, err := runner.Up(c.Context())
	if err != nil {
		return err
	}
	if applied == nil {
		applied = []string{}
	}
	if len(applied) == 0 {
		return p.Say(map[string]any{"applied": applied}, "the schema is up to date")
	}
	out := p.List("APPLIED")
	if p.JSON {
		return p.Show(map[string]any{"applied": applied})
	}
	for _, name := range applied {
		if err := out.Add(nil, name); err != nil {
			return err
		}
	}
	return out.End()
}

func (p *program) migrateStatus(c *cobra.Command) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	runner, err := openMigrations(c.Context(), cfg)
	if err != nil {
		return err
	}
	defer runner.Close()
	states, err := runner.Status(c.Context())
	if err != nil {
		return err
	}
	out := p.List("VERSION", "NAME", "APPLIED")
	for _, s := range states {
		row := map[string]any{"version": s.Version, "name": s.Name, "applied": nil}
		applied := "pending"
		if !s.Applied.IsZero() {
			applied = console.When(s.Applied)
			row["applied"] = applied
		}
		if err := out.Add(row, strconv.Itoa(s.Version), s.Name, applied); err != nil {
			return err
		}
	}
	return out.End()
}
