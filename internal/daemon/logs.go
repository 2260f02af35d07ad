package daemon

import (
	"errors"
	"io"
	"log/slog"
	"regexp"
)

// LogOptions say how a process logs.
type LogOptions struct {
	Level slog.Level
	JSON  bool
}

// NewLogger writes lines to w.
func NewLogger(w io.Writer, o LogOptions) *slog.Logger {
	options := &slog.HandlerOptions{Level: o.Level}
	if o.JSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// ParseLogFormat takes text or json.
func ParseLogFormat(v string) (asJSON bool, err error) {
	switch v {
	case "text", "json":
		return v == "json", nil
	}
	return false, errors.New("use text or json")
}

func logSettings(o *LogOptions) settings {
	o.Level = slog.LevelWarn
	return settings{
		{"log-level", "debug, info, warn or error; default warn", false, level(&o.Level)},
		{"log-format", "text or json; default text", false, func(v string) (err error) {
			o.JSON, err = ParseLogFormat(v)
			return err
		}},
	}
}

var userinfo = regexp.MustCompile(`//[^/@\s]*@`)

// shown is a value as an error may show it: without what a URL holds of a user.
func shown(value string) string { return userinfo.ReplaceAllString(value, "//...@") }
