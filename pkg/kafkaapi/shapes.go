package kafkaapi

// The shapes of request bodies, without the tagged fields at their end, in all versions that are served. A test compares
// each with what the decoder makes of the same bytes.

const (
	int8Size  = 1
	int16Size = 2
	int32Size = 4
	int64Size = 8
	uuidSize  = 16
)

func shapeProduce(w *walker) {
	w.strSince(3) // transactional id
	w.skip(int16Size + int32Size)
	w.structs(func() {
		w.nameOrID(13)
		w.structs(func() {
			w.skip(int32Size)
			w.bytes()
		})
	})
}

// nameOrID passes a topic's name, or from a version on its id.
func (w *walker) nameOrID(idSince int16) {
	if w.version >= idSince {
		w.skip(uuidSize)
		return
	}
	w.str()
}

func shapeFetch(w *walker) {
	if w.version <= 14 {
		w.skip(int32Size) // replica id
	}
	w.skip(2 * int32Size)
	w.since(3, int32Size)
	w.since(4, int8Size)
	w.since(7, 2*int32Size)
	w.structs(func() {
		w.nameOrID(13)
		w.array(func() { fetchPartition(w) })
	})
	if w.version >= 7 {
		w.structs(func() {
			w.nameOrID(13)
			w.int32s()
		})
	}
	w.strSince(11) // rack
	w.taggedFields(map[int]func(*walker){
		0: (*walker).str, // cluster id
		1: func(w *walker) { // replica state
			w.skip(int32Size + int64Size)
			w.tags()
		},
	})
	// The shape has passed the tagged fields at its end by itself.
	w.flexible = false
}

func fetchPartition(w *walker) {
	w.skip(int32Size)
	w.since(9, int32Size)
	w.skip(int64Size)
	w.since(12, int32Size)
	w.since(5, int64Size)
	w.skip(int32Size)
	w.taggedFields(fetchPartitionTags)
}

var fetchPartitionTags = map[int]func(*walker){
	0: func(w *walker) { w.skip(uuidSize) },  // replica directory id
	1: func(w *walker) { w.skip(int64Size) }, // high watermark
}

func shapeListOffsets(w *walker) {
	w.skip(int32Size)
	w.since(2, int8Size)
	w.structs(func() {
		w.str()
		w.structs(func() {
			w.skip(int32Size)
			w.since(4, int32Size)
			w.skip(int64Size)
		})
	})
	w.since(10, int32Size)
}

func shapeMetadata(w *walker) {
	w.structs(func() {
		w.since(10, uuidSize)
		w.str()
	})
	w.since(4, int8Size)
	if w.version >= 8 && w.version <= 10 {
		w.skip(int8Size)
	}
	w.since(8, int8Size)
}

func shapeAPIVersions(w *walker) {
	w.strSince(3)
	w.strSince(3)
}

func shapeOffsetForLeaderEpoch(w *walker) {
	w.since(3, int32Size)
	w.structs(func() {
		w.str()
		w.structs(func() { w.skip(3 * int32Size) })
	})
}

func shapeCreateTopics(w *walker) {
	w.structs(func() {
		w.str()
		w.skip(int32Size + int16Size)
		w.structs(func() {
			w.skip(int32Size)
			w.int32s()
		})
		w.structs(func() {
			w.str()
			w.str()
		})
	})
	w.skip(int32Size + int8Size)
}

func shapeDeleteTopics(w *walker) {
	if w.version >= 6 {
		w.structs(func() {
			w.str()
			w.skip(uuidSize)
		})
	} else {
		w.strs()
	}
	w.skip(int32Size)
}

func shapeInitProducerID(w *walker) {
	w.str()
	w.skip(int32Size)
	w.since(3, int64Size+int16Size)
}

func shapeJoinGroup(w *walker) {
	w.str()
	w.skip(2 * int32Size)
	w.str()
	w.strSince(5)
	w.str()
	w.structs(func() {
		w.str()
		w.bytes()
	})
	w.strSince(8)
}

func shapeSyncGroup(w *walker) {
	w.str()
	w.skip(int32Size)
	w.str()
	w.strSince(3)
	w.strSince(5)
	w.strSince(5)
	w.structs(func() {
		w.str()
		w.bytes()
	})
}

func shapeHeartbeat(w *walker) {
	w.str()
	w.skip(int32Size)
	w.str()
	w.strSince(3)
}

func shapeLeaveGroup(w *walker) {
	w.str()
	if w.version < 3 {
		w.str()
		return
	}
	w.structs(func() {
		w.str()
		w.str()
		w.strSince(5)
	})
}

func shapeOffsetCommit(w *walker) {
	w.str()
	w.skip(int32Size)
	w.str()
	w.strSince(7)
	if w.version <= 4 {
		w.skip(int64Size) // retention time
	}
	w.structs(func() {
		w.nameOrID(10)
		w.structs(func() {
			w.skip(int32Size + int64Size)
			w.since(6, int32Size)
			w.str()
		})
	})
}

func shapeOffsetFetch(w *walker) {
	topics := func() {
		w.nameOrID(10)
		w.int32s()
	}
	if w.version < 8 {
		w.str()
		w.structs(topics)
	} else {
		w.structs(func() {
			w.str()
			w.strSince(9)
			w.since(9, int32Size)
			w.structs(topics)
		})
	}
	w.since(7, int8Size)
}

func shapeDescribeGroups(w *walker) {
	w.strs()
	w.since(3, int8Size)
}

func shapeDeleteGroups(w *walker) { w.strs() }

func shapeOffsetDelete(w *walker) {
	w.str()
	w.structs(func() {
		w.str()
		w.structs(func() { w.skip(int32Size) })
	})
}

func shapeListGroups(w *walker) {
	if w.version >= 4 {
		w.strs()
	}
	if w.version >= 5 {
		w.strs()
	}
}

func shapeFindCoordinator(w *walker) {
	if w.version < 4 {
		w.str()
	}
	w.since(1, int8Size)
	if w.version >= 4 {
		w.strs()
	}
}

func shapeDescribeConfigs(w *walker) {
	w.structs(func() {
		w.skip(int8Size)
		w.str()
		w.strs()
	})
	w.since(1, int8Size)
	w.since(3, int8Size)
}

func shapeDescribeCluster(w *walker) {
	w.skip(int8Size)
	w.since(1, int8Size)
	w.since(2, int8Size)
}
