package interop

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// wantedVariable names the parts to run, with commas in between, or is "all".
const wantedVariable = "GNOMON_INTEROP"

// part leaves a test out unless its part was asked for.
func part(t *testing.T, name string) {
	t.Helper()
	wanted := strings.Split(os.Getenv(wantedVariable), ",")
	if !slices.Contains(wanted, name) && !slices.Contains(wanted, "all") {
		t.Skipf("needs the network and %s: `make interop` runs it, or %s=%s", name, wantedVariable, name)
	}
}

// cache is a folder of this part's own that outlives the test.
func cache(t *testing.T, name string) string {
	t.Helper()
	tools := os.Getenv("GNOMON_TOOLS_DIR")
	if tools == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			t.Fatal(err)
		}
		tools = filepath.Join(home, ".cache", "gnomon")
	}
	dir := filepath.Join(tools, "interop", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// command is one run of a program of others.
type command struct {
	dir     string
	env     []string // added to the environment
	args    []string
	timeout time.Duration
}

// run returns what a program printed, both streams.
func (c command) run(t *testing.T) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = c.dir, append(os.Environ(), c.env...), 5*time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("not done after %s: %w", c.timeout, err)
	}
	return out.String(), err
}

// must is run for what has to work.
func (c command) must(t *testing.T) string {
	t.Helper()
	out, err := c.run(t)
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(c.args, " "), err, tail(out, 8<<10))
	}
	return out
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }
