package main

import (
	"testing"
	"time"
)

func TestCalibrateProposesTheHighestCostWithinPatience(t *testing.T) {
	ms := func(all ...time.Duration) (out []time.Duration) {
		for _, d := range all {
			out = append(out, d*time.Millisecond)
		}
		return out
	}
	for name, c := range map[string]struct {
		took []time.Duration
		want int
	}{
		"a usual machine": {ms(60, 120, 240, 480, 960), 12},
		"exactly":         {ms(87, 175, 350, 700, 1400), 12},
		"quick":           {ms(5, 10, 20, 40, 80), 14},
		"slow":            {ms(400, 800, 1600, 3200, 6400), 10},
	} {
		v := calibrate(c.took)
		if v.Proposed != c.want || !v.Costs[c.want-lowestCost].Proposed {
			t.Errorf("%s: %+v, want %d", name, v, c.want)
		}
	}
	if v := calibrate(ms(50, 100, 200, 400, 800)); v.Costs[2].PerSecond != 5 || v.Costs[2].Milliseconds != 200 {
		t.Errorf("200 ms are %+v", v.Costs[2])
	}
}
