package objstore_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/fault"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/memory"
)

var (
	claimA = objstore.Claim{ClusterID: base.ClusterID{0xa}, KafkaClusterID: "pair", Region: 1}
	claimB = objstore.Claim{ClusterID: base.ClusterID{0xb}, KafkaClusterID: "pair", Region: 2}
)

func TestClaimSentence(t *testing.T) {
	ctx, s := context.Background(), memory.New()
	if err := objstore.ClaimBucket(ctx, s, claimA); err != nil {
		t.Fatal(err)
	}
	err := objstore.ClaimBucket(ctx, s, claimB)
	want := "memory: belongs to cluster 0a000000000000000000000000000000 (Kafka cluster id pair), region 1, but this is " +
		"cluster 0b000000000000000000000000000000 (Kafka cluster id pair), region 2: use another bucket or prefix"
	if !errors.Is(err, objstore.ErrClaimed) || err.Error() != want {
		t.Fatalf("got  %v\nwant %s", err, want)
	}
}

// TestClaimRace: the other cluster's claim, of the same size, gets in between our read and our put, and the answer to
// our put is lost: size alone would take it for ours.
func TestClaimRace(t *testing.T) {
	ctx, inner := context.Background(), memory.New()
	s := fault.New(inner, fault.Options{Hook: func(op objstore.Op, key string, phase fault.Phase) error {
		if op == objstore.OpPut && phase == fault.Before {
			if err := objstore.ClaimBucket(ctx, inner, claimB); err != nil {
				t.Error(err)
			}
			return objstore.ErrAmbiguous
		}
		return nil
	}})
	if err := fast.ClaimBucket(ctx, s, claimA); !errors.Is(err, objstore.ErrClaimed) {
		t.Fatalf("%v, want ErrClaimed", err)
	}
}

func TestClaimWithFaults(t *testing.T) {
	ctx, inner := context.Background(), memory.New()
	s := fault.New(inner, fault.Options{Hook: script(put(fault.Before, fault.ErrInjected), put(fault.After, fault.ErrInjected))})
	if err := fast.ClaimBucket(ctx, s, claimA); err != nil {
		t.Fatal(err)
	}
	if have, err := objstore.ReadClaim(ctx, inner); err != nil || have != claimA {
		t.Fatalf("%v, %v", have, err)
	}
}

// TestClaimFormat: the format is read as it was written by the first version, and a newer one is no corruption.
func TestClaimFormat(t *testing.T) {
	const id = `"0a000000000000000000000000000000"`
	for name, test := range map[string]struct {
		content string
		want    error
	}{
		"version 1":  {`{"version":1,"clusterId":` + id + `,"kafkaClusterId":"pair","region":1}`, nil},
		"newer":      {`{"version":2,"owners":[]}`, base.ErrVersion},
		"no version": {`{}`, base.ErrVersion},
		"no JSON":    {`hello`, base.ErrCorrupt},
		"empty":      {``, base.ErrCorrupt},
		"short id":   {`{"version":1,"clusterId":"0a"}`, base.ErrCorrupt},
		"bad id":     {`{"version":1,"clusterId":"` + strings.Repeat("z", 32) + `"}`, base.ErrCorrupt},
		"unknown":    {`{"version":1,"clusterId":` + id + `,"more":1}`, base.ErrCorrupt},
		"too large":  {strings.Repeat(" ", 1<<20), base.ErrTooLarge},
	} {
		ctx, s := context.Background(), memory.New()
		if err := s.Put(ctx, objstore.ClaimKey, objstore.Payload{[]byte(test.content)}); err != nil {
			t.Fatal(err)
		}
		have, err := objstore.ReadClaim(ctx, s)
		if !errors.Is(err, test.want) || (err == nil && have != claimA) {
			t.Errorf("%s: %v, %v; want %v", name, have, err, test.want)
		}
		if err := objstore.ClaimBucket(ctx, s, claimA); !errors.Is(err, test.want) {
			t.Errorf("%s: claim: %v, want %v", name, err, test.want)
		}
	}
}

// liar breaks invariant 1 in the ways that real stores do.
type liar struct {
	*memory.Store
	overwrites, saysExists bool
}

func (l liar) Put(ctx context.Context, key string, p objstore.Payload) error {
	err := l.Store.Put(ctx, key, p)
	if !errors.Is(err, objstore.ErrExists) {
		return err
	}
	if l.overwrites {
		if err := errors.Join(l.Delete(ctx, key), l.Store.Put(ctx, key, p)); err != nil {
			return err
		}
	}
	if l.saysExists {
		return err
	}
	return nil
}

func TestProbe(t *testing.T) {
	ctx := context.Background()
	for name, test := range map[string]struct {
		store objstore.Store
		want  error
	}{
		"good":                    {memory.New(), nil},
		"overwrites":              {liar{memory.New(), true, false}, objstore.ErrUnconditional},
		"overwrites and denies":   {liar{memory.New(), true, true}, objstore.ErrUnconditional},
		"keeps and says stored":   {liar{memory.New(), false, false}, objstore.ErrUnconditional},
		"away":                    {fault.New(memory.New(), fault.Options{Hook: func(objstore.Op, string, fault.Phase) error { return fault.ErrInjected }}), base.ErrUnavailable},
		"lost answers on the way": {fault.New(memory.New(), fault.Options{Hook: script(put(fault.After, fault.ErrInjected), put(fault.After, fault.ErrInjected))}), nil},
	} {
		err := fast.ProbeConditionalPut(ctx, test.store, "meta/probe/x")
		if !errors.Is(err, test.want) || (test.want == nil) != (err == nil) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if name == "away" {
			continue
		}
		if infos, err := test.store.List(ctx, "", "", 10); err != nil || len(infos) != 0 {
			t.Errorf("%s: the probe left %v, %v", name, infos, err)
		}
	}
}
