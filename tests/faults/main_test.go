// Package faults tests what Gnomon does with bad input and in outages, on real processes and real sockets: a Kafka error
// code or a closed connection and never a crash; a start that is refused in one clear sentence; a store or an etcd that is
// away and comes back.
package faults

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/gnomon-stream/gnomon/tests/harness"
)

// secret is what processes have as the bucket's secret key. It must never be printed.
const secret = "do-not-print-this-secret-key"

// TestMain gives all processes keys for the stores that the tests run themselves. The environment is set here, and not by
// the tests that use such a store, since these run in parallel.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": secret} {
		if err := os.Setenv(name, value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	// Tests of outages wait more than they work: more of them at once than there are cores. -parallel still overrides it.
	if err := flag.Set("test.parallel", "4"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	harness.Main(m)
}

// start is harness.Dev.Start, of a process whose output is looked through for the secret once it has ended.
func start(t *testing.T, d *harness.Dev, args ...string) *harness.Process {
	t.Helper()
	p := d.Start(args...)
	t.Cleanup(func() {
		p.Stop()
		keepsSecret(t, "a process", p.Log())
	})
	return p
}

// run is harness.Gnomon, of a command whose output is looked through for the secret.
func run(t *testing.T, args ...string) harness.Result {
	t.Helper()
	r := harness.Gnomon(t, args...)
	keepsSecret(t, strings.Join(args, " "), r.Out+r.Err)
	return r
}

func keepsSecret(t *testing.T, what, output string) {
	t.Helper()
	if strings.Contains(output, secret) {
		t.Errorf("%s has printed the secret key:\n%s", what, output)
	}
}
