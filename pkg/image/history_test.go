package image

import (
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func TestMatched(t *testing.T) {
	full, empty := v1.History{CreatedBy: "COPY"}, v1.History{CreatedBy: "ENV", EmptyLayer: true}
	for what, c := range map[string]struct {
		history []v1.History
		layers  int
		want    int // entries
	}{
		"none":     {nil, 2, 2},
		"fits":     {[]v1.History{full, empty, full}, 2, 3},
		"too few":  {[]v1.History{full, empty}, 3, 4},
		"too many": {[]v1.History{full, full, full}, 2, 2},
		"nothing":  {nil, 0, 0},
	} {
		got := matched(c.history, c.layers, time.Time{})
		n := 0
		for _, h := range got {
			if !h.EmptyLayer {
				n++
			}
		}
		if n != c.layers || len(got) != c.want {
			t.Errorf("%s: %d entries, %d with a layer: %v", what, len(got), n, got)
		}
	}
}
