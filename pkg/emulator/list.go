package emulator

import (
	"strconv"
	"strings"
)

// Pages of lists: what is sent when nothing is asked for, and the most.
const (
	defaultPage = 20
	maxPage     = 100
)

// pageSize reads the query's limit.
func (q *call) pageSize() (int, error) {
	text := q.query.Get("limit")
	if text == "" {
		return defaultPage, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, invalid("limit '%.40s' is not a number of at least 0", text)
	}
	if n == 0 {
		return defaultPage, nil
	}
	return min(n, maxPage), nil
}

// page cuts one page out of items, which are sorted by key: those whose key has
// the query's prefix and is not before startKey or nextToken. The token of the
// next page is its first key.
func page[T any](q *call, items []T, key func(T) string) (out []T, next string, err error) {
	limit, err := q.pageSize()
	if err != nil {
		return nil, "", err
	}
	prefix := q.query.Get("prefix")
	from := max(q.query.Get("startKey"), q.query.Get("nextToken"))
	out = []T{}
	for _, item := range items {
		k := key(item)
		if !strings.HasPrefix(k, prefix) || k < from {
			continue
		}
		if len(out) == limit {
			return out, k, nil
		}
		out = append(out, item)
	}
	return out, "", nil
}
