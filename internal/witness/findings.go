package witness

import "fmt"

// Findings are broken promises.
type Findings struct {
	Count int      // all of them
	First []string // the first ten, in words
}

const findingsShown = 10

func (f *Findings) add(format string, args ...any) {
	f.Count++
	if len(f.First) < findingsShown {
		f.First = append(f.First, fmt.Sprintf(format, args...))
	}
}
