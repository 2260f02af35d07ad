package metastore

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// CheckFence tells whether next may replace the fence that stands: a higher epoch may, and the same fence again (a retry
// differs in its time only). Everything else is base.ErrFenced.
func CheckFence(stands, next *metalogpb.Fence) error {
	if stands == nil || next.Epoch > stands.Epoch {
		return nil
	}
	again := proto.Clone(next).(*metalogpb.Fence)
	again.TimeMs = stands.TimeMs
	if proto.Equal(stands, again) {
		return nil
	}
	return fmt.Errorf("a fence of epoch %d (%s) stands, epoch %d does not replace it: %w", stands.Epoch, stands.By, next.Epoch, base.ErrFenced)
}
