package kafkaapi

// The shapes of the admin APIs' request bodies: see shapes.go.

func shapeCreatePartitions(w *walker) {
	w.structs(func() {
		w.str()
		w.skip(int32Size)
		w.structs(w.int32s)
	})
	w.skip(int32Size + int8Size)
}

func shapeDeleteRecords(w *walker) {
	w.structs(func() {
		w.str()
		w.structs(func() { w.skip(int32Size + int64Size) })
	})
	w.skip(int32Size)
}

func shapeIncrementalAlterConfigs(w *walker) {
	w.structs(func() {
		w.skip(int8Size)
		w.str()
		w.structs(func() {
			w.str()
			w.skip(int8Size)
			w.str()
		})
	})
	w.skip(int8Size)
}

func shapeAlterConfigs(w *walker) {
	w.structs(func() {
		w.skip(int8Size)
		w.str()
		w.structs(func() {
			w.str()
			w.str()
		})
	})
	w.skip(int8Size)
}

// topicPartitions passes topics by name, each with numbers of partitions.
func (w *walker) topicPartitions() {
	w.structs(func() {
		w.str()
		w.int32s()
	})
}

func shapeDescribeProducers(w *walker) { w.topicPartitions() }

func shapeDescribeLogDirs(w *walker) { w.topicPartitions() }

func shapeElectLeaders(w *walker) {
	w.since(1, int8Size)
	w.topicPartitions()
	w.skip(int32Size)
}

func shapeListPartitionReassignments(w *walker) {
	w.skip(int32Size)
	w.topicPartitions()
}

func shapeAlterPartitionReassignments(w *walker) {
	w.skip(int32Size)
	w.since(1, int8Size)
	w.structs(func() {
		w.str()
		w.structs(func() {
			w.skip(int32Size)
			w.int32s()
		})
	})
}

func shapeListConfigResources(w *walker) {
	if w.version >= 1 {
		w.int8s()
	}
}

func shapeDescribeTopicPartitions(w *walker) {
	w.structs(w.str)
	w.skip(int32Size)
	if len(w.b) > 0 && int8(w.b[0]) < 0 {
		w.skip(int8Size) // no cursor
		return
	}
	w.skip(int8Size)
	w.str()
	w.skip(int32Size)
	w.tags()
}
