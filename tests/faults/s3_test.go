package faults

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// s3Server is a small S3 of the tests: objects in memory, as much of the protocol as Gnomon uses, and faults.
type s3Server struct {
	*httptest.Server
	away       atomic.Bool                   // every request fails, by turns with 503, with 500 and without an answer
	silent     atomic.Pointer[chan struct{}] // requests are taken, and done only once it is closed, whether or not the client is there
	overwrites bool                          // If-None-Match is ignored
	refused    atomic.Int64

	mu      sync.Mutex
	objects map[string][]byte // by /bucket/key
}

func startS3(t *testing.T) *s3Server {
	t.Helper()
	s := &s3Server{objects: map[string][]byte{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// hush makes the store keep silent until the returned function is called.
func (s *s3Server) hush() (speak func()) {
	speaks := make(chan struct{})
	s.silent.Store(&speaks)
	return sync.OnceFunc(func() {
		s.silent.Store(nil)
		close(speaks)
	})
}

// bucket is the URL of a bucket as gnomon takes it.
func (s *s3Server) bucket(name string) string {
	return "s3://" + name + "?endpoint=" + s.URL + "&region=us-east-1&path_style=true"
}

func (s *s3Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<20))
	if err != nil {
		fail(w, http.StatusBadRequest, "IncompleteBody")
		return
	}
	if s.away.Load() {
		switch s.refused.Add(1) % 3 {
		case 0:
			panic(http.ErrAbortHandler) // hangs up
		case 1:
			fail(w, http.StatusServiceUnavailable, "SlowDown")
		default:
			fail(w, http.StatusInternalServerError, "InternalError")
		}
		return
	}
	if speaks := s.silent.Load(); speaks != nil {
		s.refused.Add(1)
		<-*speaks
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.Method == http.MethodPut:
		if s.objects[r.URL.Path] != nil && r.Header.Get("If-None-Match") == "*" && !s.overwrites {
			fail(w, http.StatusPreconditionFailed, "PreconditionFailed")
			return
		}
		s.objects[r.URL.Path] = append([]byte{}, body...)
	case r.Method == http.MethodPost && r.URL.Query().Has("delete"):
		s.delete(w, r.URL.Path, body)
	case r.URL.Query().Get("list-type") == "2":
		s.list(w, r)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		s.read(w, r)
	default:
		fail(w, http.StatusNotImplemented, "NotImplemented")
	}
}

func fail(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>of a test</Message></Error>", code)
}

func (s *s3Server) delete(w http.ResponseWriter, bucket string, body []byte) {
	var req struct{ Object []struct{ Key string } }
	if err := xml.Unmarshal(body, &req); err != nil {
		fail(w, http.StatusBadRequest, "MalformedXML")
		return
	}
	for _, o := range req.Object {
		delete(s.objects, strings.TrimSuffix(bucket, "/")+"/"+o.Key)
	}
	_, _ = io.WriteString(w, "<DeleteResult/>")
}

func (s *s3Server) read(w http.ResponseWriter, r *http.Request) {
	content, ok := s.objects[r.URL.Path]
	if !ok {
		fail(w, http.StatusNotFound, "NoSuchKey")
		return
	}
	var first, last int
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last); err == nil {
		if first >= len(content) {
			fail(w, http.StatusRequestedRangeNotSatisfiable, "InvalidRange")
			return
		}
		last = min(last, len(content)-1)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(content)))
		w.Header().Set("Content-Length", strconv.Itoa(last-first+1))
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(content[first : last+1])
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(content)
	}
}

func (s *s3Server) list(w http.ResponseWriter, r *http.Request) {
	type object struct {
		Key  string
		Size int
	}
	var out struct {
		XMLName     xml.Name `xml:"ListBucketResult"`
		IsTruncated bool
		Contents    []object
	}
	q, bucket := r.URL.Query(), strings.TrimSuffix(r.URL.Path, "/")+"/"
	limit, err := strconv.Atoi(q.Get("max-keys"))
	if err != nil {
		limit = 1000
	}
	for path, content := range s.objects {
		key, ok := strings.CutPrefix(path, bucket)
		if ok && strings.HasPrefix(key, q.Get("prefix")) && key > q.Get("start-after") {
			out.Contents = append(out.Contents, object{key, len(content)})
		}
	}
	slices.SortFunc(out.Contents, func(a, b object) int { return strings.Compare(a.Key, b.Key) })
	if len(out.Contents) > limit {
		out.Contents, out.IsTruncated = out.Contents[:limit], true
	}
	_ = xml.NewEncoder(w).Encode(out) // a client that is gone needs no answer
}
