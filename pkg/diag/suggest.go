package diag

import (
	"strings"

	"github.com/agext/levenshtein"
)

// Suggest returns the candidate that word was most likely meant to be, or "" when
// none is near. Case is ignored, so Handler finds handler.
func Suggest(word string, candidates []string) string {
	best, bestScore := "", 0.0
	for _, c := range candidates {
		score := levenshtein.Similarity(strings.ToLower(word), strings.ToLower(c), nil)
		if score > bestScore {
			best, bestScore = c, score
		}
	}
	if bestScore < 0.5 {
		return ""
	}
	return best
}

// DidYouMean returns ` did you mean "x"?` when a candidate is near, else the list
// of what there is.
func DidYouMean(word string, candidates []string) string {
	if s := Suggest(word, candidates); s != "" {
		return "did you mean " + s + "?"
	}
	return "use one of: " + strings.Join(candidates, ", ")
}
