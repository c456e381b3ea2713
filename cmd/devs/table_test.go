package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// BenchmarkTable measures what plans and deploys cost, and prints it as the table in
// docs/performance.md.
func BenchmarkTable(b *testing.B) {
	binary := build(b)
	delays := []time.Duration{0, 20 * time.Millisecond, far}
	var table strings.Builder
	table.WriteString("\n| functions | command | reads | changes | requests for notes |")
	for _, d := range delays {
		fmt.Fprintf(&table, " at %v a request |", d)
	}
	table.WriteString("\n|" + strings.Repeat("---|", 5+len(delays)) + "\n")
	for _, n := range []int{1, 10, 100} {
		for _, command := range []struct {
			name, command string
			deployed      bool
		}{{"plan of a first deploy", "plan", false}, {"first deploy", "deploy", false}, {"deploy, nothing changed", "deploy", true}} {
			var row *cost
			times := ""
			for _, delay := range delays {
				b.Run(fmt.Sprintf("%d/%s/%v", n, strings.ReplaceAll(command.name, " ", "-"), delay), func(b *testing.B) {
					row = measure(b, binary, n, command.command, command.deployed, delay)
				})
				if row == nil {
					return // left out by -bench
				}
				times += " " + short(row.took) + " |"
			}
			fmt.Fprintf(&table, "| %d | %s | %d | %d | %d |%s\n", n, command.name, row.reads, row.writes, row.notes, times)
		}
	}
	fmt.Println(table.String())
}

// cost is what one run of a command costs.
type cost struct {
	reads, writes, notes int
	took                 time.Duration // the shortest of the runs
}

// measure runs a command on an application of n functions, of which nothing or
// everything is deployed, in a cloud in which each request takes delay longer.
func measure(b *testing.B, binary string, n int, command string, deployed bool, delay time.Duration) *cost {
	w := newWorld(b, n)
	w.binary = binary
	w.open(b)
	w.tally.reset(0)
	if deployed {
		w.run(b, "deploy")
	}
	c := &cost{took: time.Hour}
	for b.Loop() {
		if command == "deploy" && !deployed {
			b.StopTimer()
			w.open(b)
			b.StartTimer()
		}
		w.tally.reset(delay)
		start := time.Now()
		w.run(b, command)
		c.took = min(c.took, time.Since(start))
		c.reads, c.writes, c.notes = w.tally.reads, w.tally.writes, w.tally.notes
	}
	return c
}

// short is a duration with two digits.
func short(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
