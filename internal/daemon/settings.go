package daemon

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// setting is one thing that can be configured.
type setting struct {
	name     string
	usage    string
	required bool
	set      func(value string) error // its error completes "<name> is "<value>": "
}

// settings of one command.
type settings []setting

// errHelp says that help was asked for, and given.
var errHelp = errors.New("help")

// load reads the file that --config or GNOMON_CONFIG names, the environment and the flags.
func (s settings) load(command string, args []string, getenv func(string) string, out io.Writer) error {
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // errors are printed once, by the caller
	given := map[string]string{}
	file := flags.String("config", getenv("GNOMON_CONFIG"), "YAML file with any of these settings (GNOMON_CONFIG)")
	for _, x := range s {
		flags.Func(x.name, fmt.Sprintf("%s (%s)", x.usage, x.variable()), func(v string) error {
			given[x.name] = v
			return nil
		})
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(out)
		_, _ = fmt.Fprintf(out, "Usage: %s [--config FILE] [flags]\n\n", command)
		flags.PrintDefaults()
		return errHelp
	} else if err != nil {
		return fmt.Errorf("%w; see %s --help", err, command)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%s takes no arguments, only flags: %q", command, flags.Arg(0))
	}
	seen := map[string]bool{}
	if *file != "" {
		text, err := os.ReadFile(*file)
		if err != nil {
			return fmt.Errorf("configuration file: %w", err)
		}
		if err := s.file(*file, text, seen); err != nil {
			return err
		}
	}
	for _, x := range s {
		if v := getenv(x.variable()); v != "" {
			if err := x.apply(x.variable(), v, seen); err != nil {
				return err
			}
		}
		if v, ok := given[x.name]; ok {
			if err := x.apply("--"+x.name, v, seen); err != nil {
				return err
			}
		}
	}
	for _, x := range s {
		if x.required && !seen[x.name] {
			return fmt.Errorf("%s is missing (%s): set it in the configuration file, by --%s, or by %s", x.name, x.usage, x.name, x.variable())
		}
	}
	return nil
}

// variable is the setting's name in the environment.
func (x setting) variable() string {
	return "GNOMON_" + strings.ToUpper(strings.ReplaceAll(x.name, "-", "_"))
}

func (x setting) apply(from, value string, seen map[string]bool) error {
	if err := x.set(value); err != nil {
		return fmt.Errorf("%s is %q: %w", from, shown(value), err)
	}
	seen[x.name] = true
	return nil
}

// file takes the settings of a YAML file.
func (s settings) file(name string, text []byte, seen map[string]bool) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if len(doc.Content) == 0 {
		return nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return fmt.Errorf("%s line %d: settings have the form name: value", name, root.Line)
	}
	for i := 0; i < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		at := fmt.Sprintf("%s line %d", name, key.Line)
		n := slices.IndexFunc(s, func(x setting) bool { return x.name == key.Value })
		switch {
		case n < 0:
			return fmt.Errorf("%s: unknown setting %q; known are %s", at, key.Value, s.names())
		case seen[key.Value]:
			return fmt.Errorf("%s: %s is set twice", at, key.Value)
		}
		v, err := scalar(value)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", at, key.Value, err)
		}
		if err := s[n].apply(at+": "+key.Value, v, seen); err != nil {
			return err
		}
	}
	return nil
}

// scalar gives a value, or a list of values, as one text.
func scalar(n *yaml.Node) (string, error) {
	switch n.Kind {
	case yaml.ScalarNode:
		return n.Value, nil
	case yaml.SequenceNode:
		var out []string
		for _, x := range n.Content {
			if x.Kind != yaml.ScalarNode {
				return "", errors.New("a list holds plain values only")
			}
			out = append(out, x.Value)
		}
		return strings.Join(out, ","), nil
	}
	return "", errors.New("the value is neither plain nor a list")
}

func (s settings) names() string {
	var out []string
	for _, x := range s {
		out = append(out, x.name)
	}
	return strings.Join(out, ", ")
}
