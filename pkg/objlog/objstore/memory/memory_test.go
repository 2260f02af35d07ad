package memory_test

import (
	"testing"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/memory"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/storetest"
)

func TestAcceptance(t *testing.T) {
	storetest.Run(t, func(*testing.T) objstore.Store { return memory.New() })
}
