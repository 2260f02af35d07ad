// Package daemon is what cmd/agent and cmd/coordinator run: configuration, a line when ready, an exit code.
//
// A setting has one name. It is a key of the YAML file, a flag, and, in capitals with GNOMON_ before it and underscores
// for dashes, a variable of the environment. Flags win over variables, and those over the file. A list is a YAML list, or
// a text with commas. What is unknown, missing or malformed is one sentence and exit code 2, before anything is opened.
package daemon
