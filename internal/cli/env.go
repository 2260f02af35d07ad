package cli

import (
	"io"
	"time"
)

// Env is what a command may touch of its process.
type Env struct {
	In  io.Reader
	Out io.Writer // results
	Err io.Writer // progress, notes, errors

	// InTerminal and ErrTerminal tell whether a person is at the other end: they decide about hints and progress.
	InTerminal  bool
	ErrTerminal bool

	Getenv  func(name string) string
	Now     func() time.Time
	Version Version

	format  string
	brokers string
}

// Version is what `gnomon version` says.
type Version struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
}

// Values of --format.
const (
	formatText = "text"
	formatJSON = "json"
)

// JSON tells whether results are wanted as JSON.
func (e *Env) JSON() bool { return e.format == formatJSON }
