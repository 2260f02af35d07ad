// Package cluster tests regions whose agents and coordinators are processes of their own: kills, pauses, restarts and
// changes of leaders, with clients that must not notice. Tests that wait for leases and restarts more than they work run beside each
// other (t.Parallel); those that measure how long something took do not.
package cluster

import (
	"testing"

	"github.com/gnomon-stream/gnomon/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
