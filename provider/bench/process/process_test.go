package process

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestProcessStatIsReadWhateverTheNameHolds(t *testing.T) {
	line := "42 (a) b (c)) S 7 1 1 0 -1 4194560 1 2 3 4 150 50 30 20 20 0 1 0 5 6 7"
	s, err := parseStat([]byte(line))
	if err != nil || s.parent != 7 || s.own != 2*time.Second || s.reaped != 500*time.Millisecond {
		t.Errorf("%+v, %v", s, err)
	}
	for _, bad := range []string{"", "42 (x) S", "42 (x) S 7 1 1 0 -1 4194560 1 2 3 4 x 50 30 20 20"} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// child is a process that waits for the end of its input; stop ends it and waits for it.
func child(t *testing.T) (pid int, stop func()) {
	t.Helper()
	c := exec.Command("cat")
	input, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c.Process.Pid, func() {
		t.Helper()
		if err := input.Close(); err != nil {
			t.Error(err)
		}
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	}
}

func TestDescendantsCountAndMissingProcessesAreTold(t *testing.T) {
	before, err := CPUTime([]int{os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	pid, stop := child(t)
	alone, err := Memory([]int{pid})
	if err != nil {
		t.Fatal(err)
	}
	both, err := Memory([]int{os.Getpid(), pid})
	if err != nil || both <= alone || alone == 0 {
		t.Errorf("memory of child %d, of both %d, %v", alone, both, err)
	}
	all, err := family([]int{os.Getpid()})
	if _, ok := all[pid]; !ok || err != nil {
		t.Errorf("the child is no descendant: %v", err)
	}
	stop()
	after, err := CPUTime([]int{os.Getpid()})
	if err != nil || after < before {
		t.Errorf("CPU time went from %v to %v: %v", before, after, err)
	}
	if _, err := CPUTime([]int{pid}); err == nil {
		t.Error("a process that has ended is measured")
	}
}

func TestCPUTimeIsWhatWasBurnt(t *testing.T) {
	before, err := CPUTime([]int{os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		now, err := CPUTime([]int{os.Getpid()})
		if err != nil {
			t.Fatal(err)
		}
		if now-before >= 50*time.Millisecond {
			return
		}
	}
	t.Error("ten seconds of work cost less than 50 ms")
}
