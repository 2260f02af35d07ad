package coordinator

import "github.com/twmb/franz-go/pkg/kerr"

// names are the names of a request in which each may be there once. As in Kafka, one that is doubled gets one answer,
// INVALID_REQUEST, and is not acted upon at all.
type names struct {
	times    map[string]int
	answered map[string]bool
}

func newNames[T any](all []T, of func(*T) string) *names {
	n := &names{times: map[string]int{}, answered: map[string]bool{}}
	for i := range all {
		n.times[of(&all[i])]++
	}
	return n
}

// before tells whether the name was asked for before, and has its answer.
func (n *names) before(name string) bool {
	if n.answered[name] {
		return true
	}
	n.answered[name] = true
	return false
}

// once is the error of a name that is doubled.
func (n *names) once(name string) *apiError {
	if n.times[name] > 1 {
		return fail(kerr.InvalidRequest, "%q is named more than once in the request", name)
	}
	return nil
}
