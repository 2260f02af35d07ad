package daemon

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// Env is what a process gets from outside.
type Env struct {
	Args     []string // without the program's name
	Getenv   func(string) string
	Out, Err io.Writer
	Now      func() time.Time
	Version  string
}

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

// load reads the configuration; false when the process is to end with the code.
func (e Env) load(command string, s settings) (code int, ok bool) {
	err := s.load(command, e.Args, e.Getenv, e.Out)
	switch {
	case errors.Is(err, errHelp):
		return 0, false
	case err != nil:
		_, _ = fmt.Fprintf(e.Err, "%s: %v\n", command, err)
		return exitUsage, false
	}
	return 0, true
}

// misused reports settings that do not go together.
func (e Env) misused(command string, err error) int {
	_, _ = fmt.Fprintf(e.Err, "%s: %v\n", command, err)
	return exitUsage
}

func (e Env) exit(command string, err error) int {
	if err != nil {
		_, _ = fmt.Fprintf(e.Err, "%s: %v\n", command, err)
		return exitFailed
	}
	return 0
}
