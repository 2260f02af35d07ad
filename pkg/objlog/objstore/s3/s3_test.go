package s3_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/open"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/storetest"
)

// runID sets the prefixes of this run apart from those of another on the same bucket.
var (
	runID  = time.Now().UnixNano()
	stores atomic.Int64
)

// TestAcceptance runs the suite on the store that GNOMON_TEST_S3 names, each test below a prefix of its own.
func TestAcceptance(t *testing.T) {
	bucket(t)
	storetest.Run(t, func(t *testing.T) objstore.Store { return openPrefix(t, "") })
}

// TestAcceptanceSigned is the suite with payloads in the signature.
func TestAcceptanceSigned(t *testing.T) {
	bucket(t)
	storetest.Run(t, func(t *testing.T) objstore.Store { return openPrefix(t, "sign_payload=true") })
}

func bucket(t testing.TB) string {
	t.Helper()
	rawURL := os.Getenv("GNOMON_TEST_S3")
	if rawURL == "" {
		t.Skip("skipped: GNOMON_TEST_S3 names no bucket (s3://…); tests/s3/run.sh starts one and sets it")
	}
	return rawURL
}

func openPrefix(t testing.TB, setting string) objstore.Store {
	t.Helper()
	location, query, _ := strings.Cut(bucket(t), "?")
	rawURL := fmt.Sprintf("%s/run-%d-%d?%s", strings.TrimSuffix(location, "/"), runID, stores.Add(1), query)
	if setting != "" {
		rawURL += "&" + setting
	}
	s, err := open.Open(context.Background(), rawURL, open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
