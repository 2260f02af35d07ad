package check

// Types of events.
const (
	Invoke = "invoke"
	OK     = "ok"
	Fail   = "fail" // had no effect
	Info   = "info" // nobody knows
)

// Operations.
const (
	Send      = "send"      // one record; the answer has its offset
	Poll      = "poll"      // what a consumer was given
	Resume    = "resume"    // partitions were given to a consumer, at these offsets
	Revoke    = "revoke"    // and taken away
	Commit    = "commit"    // of a group
	Committed = "committed" // what the group has, as somebody asks
	End       = "end"       // latest offsets, as one agent tells them
	Stable    = "stable"    // latest offsets for readers of committed records only
	Start     = "start"     // earliest offsets
	Fetch     = "fetch"     // what an answer to Fetch says of its partitions
	Delete    = "delete"    // of records below these offsets
	Topic     = "topic"     // the first event: what the workload is about
	Failover  = "failover"  // another region has taken over: all that follows is told by it
	Final     = "final"     // from here on somebody reads everything, from the start to the end
)

// Event is a line of a history.
type Event struct {
	Time    int64    `json:"t"` // ns since the history began, by a monotonic clock
	Type    string   `json:"type"`
	F       string   `json:"f"`
	Op      int64    `json:"op"` // pairs what was invoked with its end
	Process string   `json:"process"`
	Agent   string   `json:"agent,omitempty"` // who was asked, if one only
	Group   string   `json:"group,omitempty"`
	Error   string   `json:"error,omitempty"`
	Records []Record `json:"records,omitempty"`
	At      []At     `json:"at,omitempty"`
	Marks   []Mark   `json:"marks,omitempty"`
	Topic   string   `json:"topic,omitempty"`
	Mode    string   `json:"mode,omitempty"` // of a failover
}

// At is an offset in a partition.
type At struct {
	Partition int32 `json:"p"`
	Offset    int64 `json:"o"`
}

// Mark is what a Fetch at an offset is told of a partition.
type Mark struct {
	Partition int32 `json:"p"`
	Asked     int64 `json:"asked"`
	End       int64 `json:"high_watermark"`
	Stable    int64 `json:"last_stable"`
	Start     int64 `json:"log_start"`
	Refused   bool  `json:"out_of_range,omitempty"`
}

// Record is a value at an offset; -1 as long as it has none.
type Record struct {
	Partition int32 `json:"p"`
	Offset    int64 `json:"o"`
	Value     Value `json:"v"`
}

// Value is what a record holds: its producer, and its number among that producer's records, which rise in the order of sending.
type Value struct {
	Producer int32 `json:"producer"`
	Number   int64 `json:"n"`
}

// Cut is the mode of a failover that may lose what was acked last. In any other nothing may be lost.
const Cut = "cut"

// Kinds of anomalies.
const (
	Lost          = "lost"           // acked, never read, though what lies behind was
	Unseen        = "unseen"         // acked, never read, and nothing behind it
	Duplicate     = "duplicate"      // one value at two offsets
	Inconsistent  = "inconsistent"   // two values at one offset
	Unsent        = "unsent"         // read, but never sent, or failed for sure
	Reordered     = "reordered"      // records of one producer and partition
	Hole          = "hole"           // an offset that nobody has seen, below one that was
	PollBack      = "poll-back"      // a consumer was given what lies before its position
	PollSkip      = "poll-skip"      // or beyond it
	GroupSkip     = "group-skip"     // a group resumes beyond what its members were given
	SendBack      = "send-back"      // a send that began after another's ack got a lower offset
	EndBack       = "end-back"       // the end of a partition lies below what was told before the question
	Invisible     = "invisible"      // and below what was acked before
	StableBack    = "stable-back"    // the same of the last stable offset
	StableApart   = "stable-apart"   // the last stable offset is not the high watermark, though nobody has a transaction
	WatermarkBack = "watermark-back" // a Fetch answer's high watermark lies below what the same agent told before the question
	Unserved      = "unserved"       // a Fetch at an offset that was told before, by whomever, is refused or shows a lower high watermark
	StartBack     = "start-back"     // the log start lies below what was told, or below records that were deleted, before the question
	StartBeyond   = "start-beyond"   // the log start lies above what anybody asked to delete
	CommitBack    = "commit-back"    // a committed offset that was replaced before the question
	CommitBeyond  = "commit-beyond"  // a committed offset above the log end
	GroupApart    = "group-apart"    // after a failover a group resumes elsewhere than at its committed offset
	BeyondCut     = "beyond-cut"     // the region that took over has offsets beyond the boundary that its failover reported
	Torn          = "torn"           // what it has is no cut: something is there that began after the ack of what is not
	CommitAlien   = "commit-unknown" // a committed offset that nobody committed
)

// Anomaly is one broken promise, with the numbers of the events that show it.
type Anomaly struct {
	Kind   string `json:"kind"`
	Detail string `json:"detail"`
	Events []int  `json:"events"`
}

// Report of a check.
type Report struct {
	Events  int            `json:"events"`
	Acked   int            `json:"acked"`
	Read    int            `json:"read"`
	Counts  map[string]int `json:"anomalies"`
	First   []Anomaly      `json:"first,omitempty"`
	Commits int            `json:"commits"`
	// Complete tells whether everything was read in the end; without it nobody can tell what the last acks are worth.
	Complete bool      `json:"read_to_the_end"`
	Failover *Takeover `json:"failover,omitempty"`
}

// Takeover is what is found in the region that took over.
type Takeover struct {
	Mode    string `json:"mode"`
	Read    int    `json:"read"`             // records
	Deleted int    `json:"deleted"`          // records that were not read, as somebody had asked to delete them
	Resumed int    `json:"resumed"`          // places where groups go on, counted by member and partition
	Beyond  int    `json:"acked_beyond_cut"` // records that were acked and that the cut does not hold
}

const kept = 10

func (r *Report) add(kind, detail string, events ...int) {
	if r.Counts[kind]++; r.Counts[kind] <= kept {
		r.First = append(r.First, Anomaly{Kind: kind, Detail: detail, Events: events})
	}
}

// Clean tells whether there is no anomaly.
func (r *Report) Clean() bool { return len(r.Counts) == 0 }
