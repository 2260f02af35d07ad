package appender

import (
	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/segment"
)

// keeping copies extents of an object for readers, while the object is being stored.
type keeping struct {
	copies []extentCopy
	done   chan struct{}
}

type extentCopy struct {
	kept     Kept
	position int64
}

// keep begins to copy what Deps.Keep wants of an object; nil without one. The batches are read until settle returns.
func (a *Appender) keep(built segment.Built) *keeping {
	if a.deps.Keep == nil {
		return nil
	}
	k := &keeping{done: make(chan struct{})}
	go func() {
		defer close(k.done)
		for e, batches := range built.Each() {
			tp := base.TopicPartition{Topic: base.TopicID(e.TopicId), Partition: e.Partition}
			if kept := a.deps.Keep(tp, batches); kept != nil {
				k.copies = append(k.copies, extentCopy{kept, e.Position})
			}
		}
	}()
	return k
}

// settle ends the copies: the object is stored, or it is not.
func (k *keeping) settle(object base.ObjectID, stored bool) {
	if k == nil {
		return
	}
	<-k.done
	for _, c := range k.copies {
		if stored {
			c.kept.Stored(object, c.position)
		} else {
			c.kept.Drop()
		}
	}
}
