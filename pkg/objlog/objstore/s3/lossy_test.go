package s3_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/open"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/s3"
)

// lossy loses requests on their way to a real store, and answers on their way back.
type lossy struct {
	mu     sync.Mutex
	random *rand.Rand
	lost   map[string]int
}

// Do implements aws.HTTPClient.
func (l *lossy) Do(r *http.Request) (*http.Response, error) {
	l.mu.Lock()
	fate := l.random.IntN(4)
	if fate < 2 {
		l.lost[r.Method]++
	}
	l.mu.Unlock()
	if fate == 0 {
		return nil, syscall.ECONNRESET
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil || fate != 1 {
		return answer, err
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	return nil, io.ErrUnexpectedEOF
}

// TestPutSettledOnLossyNetwork: half of all messages are lost, and every object is stored once, ours, and whole.
func TestPutSettledOnLossyNetwork(t *testing.T) {
	rawURL := bucket(t)
	l := &lossy{random: rand.New(rand.NewPCG(1, 2)), lost: map[string]int{}}
	s, err := open.Open(context.Background(), rawURL, open.Options{S3: s3.Options{HTTPClient: l}})
	if err != nil {
		t.Fatal(err)
	}
	quick := objstore.Backoff{First: time.Millisecond, Max: 4 * time.Millisecond}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 10 {
				key, content := fmt.Sprintf("lossy-%d/%d-%d", runID, w, i), fmt.Appendf(nil, "payload %d of %d", i, w)
				if err := quick.PutSettled(context.Background(), s, key, objstore.Payload{content}); err != nil {
					t.Errorf("%s: %v", key, err)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("lost: %v", l.lost)
	if l.lost[http.MethodPut] == 0 || l.lost[http.MethodHead] == 0 {
		t.Errorf("nothing was lost: %v", l.lost)
	}
	whole, err := open.Open(context.Background(), rawURL, open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	infos, err := whole.List(context.Background(), fmt.Sprintf("lossy-%d/", runID), "", 100)
	if err != nil || len(infos) != 40 {
		t.Fatalf("%d objects, %v; want 40", len(infos), err)
	}
	for _, info := range infos {
		if info.Size != int64(len("payload 0 of 0")) {
			t.Errorf("%s has %d bytes", info.Key, info.Size)
		}
	}
}

// TestTimeoutIsAmbiguous: a request that ran out of time may have arrived.
func TestTimeoutIsAmbiguous(t *testing.T) {
	s, err := open.Open(context.Background(), bucket(t), open.Options{S3: s3.Options{Timeout: time.Nanosecond}})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Put(context.Background(), fmt.Sprintf("timeout-%d", runID), objstore.Payload{[]byte("x")})
	if !errors.Is(err, objstore.ErrAmbiguous) {
		t.Fatalf("%v, want ErrAmbiguous", err)
	}
}

func TestProbeOnMissingBucket(t *testing.T) {
	rawURL := "s3://no-such-bucket-" + fmt.Sprint(runID)
	_, query, _ := strings.Cut(bucket(t), "?")
	rawURL += "?" + query
	s, err := open.Open(context.Background(), rawURL, open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	err = objstore.ProbeConditionalPut(context.Background(), s, "probe")
	if err == nil || errors.Is(err, objstore.ErrAmbiguous) || time.Since(started) > 5*time.Second {
		t.Fatalf("%v, want a final error at once", err)
	}
	t.Log(err)
}
