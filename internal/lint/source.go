package lint

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Module is the import path of the repository's root.
const Module = "github.com/gnomon-stream/gnomon"

// File is one parsed Go file.
type File struct {
	Path      string // slash-separated, relative to the repository's root
	Syntax    *ast.File
	Lines     int
	Test      bool // its name ends in _test.go
	Generated bool // it carries the standard "Code generated … DO NOT EDIT." line
	positions *token.FileSet
}

// Dir is the file's package, relative to the module.
func (f *File) Dir() string { return path.Dir(f.Path) }

// line returns the line of a position in the file.
func (f *File) line(p token.Pos) int { return f.positions.Position(p).Line }

// Load parses every Go file below root but those in hidden folders and testdata.
func Load(root string) ([]*File, error) {
	var files []*File
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			hidden := strings.HasPrefix(entry.Name(), ".") && name != root
			if hidden || entry.Name() == "testdata" {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		f, err := Parse(filepath.ToSlash(rel), text)
		if err != nil {
			return err
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the sources: %w", err)
	}
	return files, nil
}

// Parse parses one Go file; name is its path relative to the repository's root.
func Parse(name string, text []byte) (*File, error) {
	positions := token.NewFileSet()
	syntax, err := parser.ParseFile(positions, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	return &File{
		Path:      name,
		Syntax:    syntax,
		Lines:     bytes.Count(text, []byte("\n")),
		Test:      strings.HasSuffix(name, "_test.go"),
		Generated: ast.IsGenerated(syntax),
		positions: positions,
	}, nil
}
