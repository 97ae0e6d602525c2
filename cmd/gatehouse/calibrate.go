package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/cmd/gatehouse/console"
	"gatehouse/provider/credential"
)

const (
	lowestCost, highestCost = 10, 14 // what the configuration allows
	// patience is how long the hash of a sign-in may take.
	patience = 350 * time.Millisecond
)

// costView is one measured cost.
type costView struct {
	Cost         int     `json:"cost"`
	Milliseconds float64 `json:"milliseconds"`
	// PerSecond is how many sign-ins a second one core is good for.
	PerSecond float64 `json:"sign_ins_per_second_per_core"`
	Proposed  bool    `json:"proposed"`
}

// calibrationView is what a calibration says.
type calibrationView struct {
	Costs    []costView `json:"costs"`
	Proposed int        `json:"proposed"`
	Setting  string     `json:"setting"`
	Variable string     `json:"environment"`
}

func (p *program) calibrateCommand() *cobra.Command {
	var rounds int
	c := &cobra.Command{
		Use: "calibrate", Short: "Measure how long password hashes take on this machine, and propose a cost", Args: arguments(),
		Long: "Measure bcrypt at every cost that passwords.cost can have, and propose the highest one that takes at most 350 ms. Run it on the machine that will serve, while little else runs there.",
	}
	c.Flags().IntVar(&rounds, "rounds", 5, "hashes for each cost, of which the quickest counts: `NUMBER`")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if rounds < 1 || rounds > 100 {
			return console.Usagef("--rounds is between 1 and 100, not %d", rounds)
		}
		took, err := measureCosts(c.Context(), rounds)
		if err != nil {
			return err
		}
		return p.showCalibration(calibrate(took))
	}
	return c
}

// measureCosts returns the quickest hash of each cost, from the lowest up: whatever else runs on the machine only adds time.
func measureCosts(ctx context.Context, rounds int) ([]time.Duration, error) {
	var out []time.Duration
	for cost := lowestCost; cost <= highestCost; cost++ {
		all := make([]time.Duration, rounds)
		for i := range all {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			var err error
			if all[i], err = credential.MeasureCost(cost); err != nil {
				return nil, err
			}
		}
		out = append(out, slices.Min(all))
	}
	return out, nil
}

// calibrate proposes the highest cost that is within patience, the lowest if none is.
func calibrate(took []time.Duration) calibrationView {
	v := calibrationView{Proposed: lowestCost}
	for i, d := range took {
		cost := lowestCost + i
		if d <= patience {
			v.Proposed = cost
		}
		ms := math.Round(d.Seconds()*1e5) / 100
		v.Costs = append(v.Costs, costView{Cost: cost, Milliseconds: ms, PerSecond: math.Round(10/max(d.Seconds(), 1e-9)) / 10})
	}
	v.Costs[v.Proposed-lowestCost].Proposed = true
	v.Setting = "passwords: {cost: " + strconv.Itoa(v.Proposed) + "}"
	v.Variable = "GATEHOUSE_PASSWORDS_COST=" + strconv.Itoa(v.Proposed)
	return v
}

func (p *program) showCalibration(v calibrationView) error {
	if p.JSON {
		return p.Show(v)
	}
	w := tabwriter.NewWriter(p.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "COST\tTIME\tSIGN-INS PER SECOND AND CORE\t")
	for _, c := range v.Costs {
		mark := ""
		if c.Proposed {
			mark = "proposed"
		}
		fmt.Fprintf(w, "%d\t%.0f ms\t%.1f\t%s\n", c.Cost, c.Milliseconds, c.PerSecond, mark)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.Out, "\nIn config.yaml: %s\nor in the environment: %s\n", v.Setting, v.Variable)
	return err
}
