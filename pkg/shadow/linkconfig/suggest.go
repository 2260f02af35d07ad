package linkconfig

import "fmt"

// suggest returns `; did you mean "x"?` for the known name that is closest to the given one, "" when none is close.
func suggest(given string, known []string) string {
	best, at := "", min(3, len(given)/3+1)+1 // three typing mistakes at most, fewer in a short name
	for _, name := range known {
		if d := distance(given, name); d < at {
			best, at = name, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance is the number of bytes to insert, delete or replace that makes b of a (Levenshtein), or more than
// nameMax for names that are too long to be meant.
func distance(a, b string) int {
	const nameMax = 64
	if len(a) > nameMax || len(b) > nameMax {
		return nameMax + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(diagonal+cost, row[j]+1, row[j+1]+1)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
