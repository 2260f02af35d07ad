package differential

import (
	"testing"

	"github.com/gnomon-stream/gnomon/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
