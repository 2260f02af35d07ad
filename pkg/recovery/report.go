package recovery

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// ReportKey names the report of a restore in the bucket.
func ReportKey(incarnation string) string { return "meta/quarantine/" + incarnation + ".json" }

const reportVersion = 1

// Report is what a restore did, or would do. It is also the object meta/quarantine/<incarnation>.json, which is written before etcd
// is, and so says Restored false: whether the incarnation came to be, the log tells.
type Report struct {
	Version     int    `json:"version"`
	Restored    bool   `json:"restored"`
	Region      string `json:"region"`
	ClusterID   string `json:"cluster_id"`
	Incarnation string `json:"incarnation"`
	Parent      string `json:"parent"`
	// ArchivedSeq is the last entry that was restored, ArchivedTimeMs its event time: what was acked later is in quarantine.
	ArchivedSeq    uint64 `json:"archived_seq"`
	ArchivedTimeMs int64  `json:"archived_time_ms"`
	TimeMs         int64  `json:"time_ms"`
	SnapshotSeq    uint64 `json:"snapshot_seq"` // 0: none
	Epoch          int32  `json:"epoch"`
	EtcdWas        string `json:"etcd_was"`
	// Fenced tells that another region has taken over, and TakenOverBy how that was found: this one comes back without write access.
	Fenced      bool            `json:"fenced"`
	TakenOverBy string          `json:"taken_over_by,omitempty"`
	Peer        *PeerJSON       `json:"peer,omitempty"`
	Topics      int             `json:"topics"`
	Partitions  int             `json:"partitions"`
	Groups      int             `json:"groups"`
	Warnings    []string        `json:"warnings"`
	Quarantine  QuarantineTotal `json:"quarantine"`
	Objects     []HeldObject    `json:"objects"`
}

// PeerJSON is what the other region said.
type PeerJSON struct {
	TookOver int32  `json:"took_over"`
	Link     string `json:"link,omitempty"`
	Seq      uint64 `json:"seq"`
	Fault    string `json:"fault,omitempty"`
}

// QuarantineTotal is what all quarantined objects add up to.
type QuarantineTotal struct {
	Objects    int             `json:"objects"`
	Records    int64           `json:"records"`
	Bytes      int64           `json:"bytes"`
	Partitions []HeldPartition `json:"partitions"`
}

// Sum adds objects up.
func Sum(objects []HeldObject) QuarantineTotal {
	t := QuarantineTotal{Objects: len(objects), Partitions: Totals(objects)}
	for _, o := range objects {
		t.Records += o.Records
		t.Bytes += o.Bytes
	}
	return t
}

func (r *restoring) fill() {
	st := r.State
	region := st.Region()
	rep := &Report{
		Version: reportVersion, Region: region.Name, ClusterID: region.ClusterID.String(), Incarnation: r.event.Incarnation, Parent: r.event.Parent,
		ArchivedSeq: uint64(r.end.Seq), TimeMs: r.Now().UnixMilli(), SnapshotSeq: r.Snapshot.GetSeq(), Epoch: r.event.Epoch, EtcdWas: r.etcdWas,
		ArchivedTimeMs: r.endTime, Fenced: r.takenBy != "", TakenOverBy: r.takenBy, Groups: st.GroupCount(),
		Warnings: append([]string{}, r.warnings...), Quarantine: Sum(r.held), Objects: append([]HeldObject{}, r.held...),
	}
	if r.takenBy != "" {
		rep.TakenOverBy = fmt.Sprintf("%s, epoch %d", r.takenBy, r.takenAt)
	}
	for _, t := range st.Topics() {
		rep.Topics++
		rep.Partitions += int(t.Partitions())
	}
	if p := r.peerSays; p.Link != "" || p.TookOver > 0 {
		rep.Peer = &PeerJSON{TookOver: int32(p.TookOver), Link: p.Link, Seq: uint64(p.Position.Seq), Fault: p.Fault}
	}
	r.report = rep
}

func (r *restoring) putReport(ctx context.Context) error {
	b, err := json.MarshalIndent(r.report, "", "  ")
	if err == nil {
		err = objstore.Backoff{Attempts: reportAttempts}.PutSettled(ctx, r.Bucket, ReportKey(r.event.Incarnation), objstore.Payload{append(b, '\n')})
	}
	if err != nil {
		return fmt.Errorf("write the report of the restore: %w", err)
	}
	return nil
}

const reportAttempts = 5

// Lag is how old the last restored entry was when the restore was made.
func (r *Report) Lag() time.Duration {
	return time.Duration(r.TimeMs-r.ArchivedTimeMs) * time.Millisecond
}
