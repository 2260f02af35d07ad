package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const commandTimeout = 60 * time.Second

// Result of a command that ran to its end.
type Result struct {
	Out, Err string
	Code     int
	Took     time.Duration
}

// Gnomon runs the command line tool with args.
func Gnomon(t testing.TB, args ...string) Result {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+roleCommand)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	began := time.Now()
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("gnomon %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return Result{Out: out.String(), Err: errs.String(), Code: cmd.ProcessState.ExitCode(), Took: time.Since(began)}
}

// Admin runs gnomon with args against the admin API of a region, and wants JSON and exit code 0.
func (d *Dev) Admin(name string, into any, args ...string) Result {
	d.t.Helper()
	r := d.TryAdmin(name, args...)
	if r.Code != 0 {
		d.t.Fatalf("gnomon %s: exit code %d\n%s%s", strings.Join(args, " "), r.Code, r.Out, r.Err)
	}
	if err := json.Unmarshal([]byte(r.Out), into); err != nil {
		d.t.Fatalf("gnomon %s: %v\n%s", strings.Join(args, " "), err, r.Out)
	}
	return r
}

// TryAdmin is Admin with any exit code and no decoding.
func (d *Dev) TryAdmin(name string, args ...string) Result {
	d.t.Helper()
	return Gnomon(d.t, append(args, "--admin", d.Endpoints(name).Admin, "--format", "json")...)
}
