package cli

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// heapGoal is how large the heap may grow before garbage is collected, in bytes: a
// build allocates much and keeps little, and CI containers are small.
const heapGoal = 44 << 20

// leastGrowth is by how many percent the heap may grow where what is kept comes near
// the goal, or is beyond it: less would collect garbage without end.
const leastGrowth = 20

// saveMemory makes the garbage collector aim for heapGoal from now on. It looks again
// after each collection, when the finalizer of something unused runs.
func (t *tool) saveMemory() {
	if t.env("GOGC") == "" && t.env("GOMEMLIMIT") == "" {
		aimAtGoal(new(collected))
	}
}

// collected is found unused by every collection.
type collected struct{ _ *byte }

func aimAtGoal(c *collected) {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	debug.SetGCPercent(growth(live[0].Value.Uint64()))
	runtime.SetFinalizer(c, aimAtGoal)
}

// Before the first collection, and for heaps so small that the goal says nothing: Go takes
// a heap for 4 MiB at least, so the first collection comes at 20 MiB.
const (
	firstGrowth = 500
	mostGrowth  = 1000
)

// growth is by how many percent a heap of live bytes may grow.
func growth(live uint64) int {
	switch {
	case live == 0: // nothing was collected yet
		return firstGrowth
	case live > heapGoal:
		return leastGrowth
	}
	return max(leastGrowth, min(int((heapGoal-live)*100/live), mostGrowth))
}
