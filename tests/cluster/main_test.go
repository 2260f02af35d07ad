// Package cluster tests regions whose agents and coordinators are processes of their own: kills, pauses, restarts and
// changes of leaders, with clients that must not notice.
package cluster

import (
	"testing"

	"github.com/gnomon-stream/gnomon/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
