// Package process reads from Linux's /proc what processes have cost so far. The bench asks it before and after each operation.
package process

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Linux counts CPU time for user space in hundredths of a second on every architecture that Go runs on (USER_HZ).
const tick = 10 * time.Millisecond

// stat is the part of /proc/PID/stat that is needed (proc_pid_stat(5)).
type stat struct {
	parent int
	// own is the time of the process, reaped that of children that have ended.
	own, reaped time.Duration
}

// CPUTime is the user and system time of the processes and all their descendants, also of those that have ended, such as database connections.
func CPUTime(pids []int) (time.Duration, error) {
	if len(pids) == 0 {
		return 0, nil
	}
	all, err := family(pids)
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, s := range all {
		sum += s.own + s.reaped
	}
	return sum, nil
}

// Memory is the resident size of the processes and all their descendants in bytes, shared pages counted for each.
func Memory(pids []int) (int64, error) {
	all, err := family(pids)
	if err != nil {
		return 0, err
	}
	var pages int64
	for pid := range all {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if err != nil {
			continue // it has ended
		}
		var size, resident int64
		if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
			return 0, fmt.Errorf("read memory of process %d: %w", pid, err)
		}
		pages += resident
	}
	return pages * int64(os.Getpagesize()), nil
}

// family reads the processes and their descendants.
func family(pids []int) (map[int]stat, error) {
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	all, children := map[int]stat{}, map[int][]int{}
	for _, folder := range folders {
		pid, err := strconv.Atoi(filepath.Base(folder))
		if err != nil {
			continue
		}
		text, err := os.ReadFile(folder + "/stat")
		if err != nil {
			continue // it has ended
		}
		s, err := parseStat(text)
		if err != nil {
			return nil, fmt.Errorf("read process %d: %w", pid, err)
		}
		all[pid] = s
		children[s.parent] = append(children[s.parent], pid)
	}
	found := map[int]stat{}
	for queue := slices.Clone(pids); len(queue) > 0; {
		pid := queue[0]
		queue = queue[1:]
		s, ok := all[pid]
		if !ok {
			return nil, fmt.Errorf("there is no process %d, or it may not be read", pid)
		}
		if _, again := found[pid]; !again {
			found[pid] = s
			queue = append(queue, children[pid]...)
		}
	}
	return found, nil
}

// parseStat reads one line of /proc/PID/stat. The name in it may hold anything, spaces and brackets too, and ends with the last bracket.
func parseStat(line []byte) (stat, error) {
	end := bytes.LastIndexByte(line, ')')
	fields := strings.Fields(string(line[end+1:]))
	const state, utime, last = 3, 14, 17 // numbers of fields in the manual page
	if end < 0 || len(fields) <= last-state {
		return stat{}, fmt.Errorf("unexpected text %q", line)
	}
	var numbers [4]int64
	for i := range numbers {
		n, err := strconv.ParseInt(fields[utime-state+i], 10, 64)
		if err != nil {
			return stat{}, fmt.Errorf("unexpected text %q", line)
		}
		numbers[i] = n
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return stat{}, fmt.Errorf("unexpected text %q", line)
	}
	return stat{parent, time.Duration(numbers[0]+numbers[1]) * tick, time.Duration(numbers[2]+numbers[3]) * tick}, nil
}
