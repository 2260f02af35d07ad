package lint

import (
	"os"
	"path/filepath"
	"testing"
)

// The laws, held against this repository.
func TestRepository(t *testing.T) {
	root := filepath.Join("..", "..")
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatalf("the repository's root is not where it should be: %v", err)
	}
	files, err := Load(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 50 {
		t.Fatalf("found %d Go files only: the walk is broken", len(files))
	}
	list, err := os.Open("allow.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = list.Close() }()
	exceptions, err := ParseExceptions(list)
	if err != nil {
		t.Fatalf("allow.txt: %v", err)
	}
	for _, p := range Apply(Check(files), exceptions, "internal/lint/allow.txt") {
		t.Error(p)
	}
}
