package cli

import "testing"

func TestGrowth(t *testing.T) {
	for live, want := range map[uint64]int{
		0:                firstGrowth, // nothing was collected yet
		1 << 20:          mostGrowth,
		heapGoal / 2:     100,
		heapGoal - 1<<20: leastGrowth,
		heapGoal * 4:     leastGrowth,
	} {
		if got := growth(live); got != want {
			t.Errorf("%d bytes may grow by %d percent, want %d", live, got, want)
		}
	}
}
