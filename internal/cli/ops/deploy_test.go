package ops

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What containers and jobs go by: the exit code of a check, and jobs that may run again.

func TestProcessHealth(t *testing.T) {
	ready := true
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !ready {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	line := []string{"health", "--process", "--admin", server.URL}
	if code, out, errs := (&admin{}).run(t, line...); code != 0 || out != "ready\n" {
		t.Errorf("%d, %s%s", code, out, errs)
	}
	ready = false
	if code, _, errs := (&admin{}).run(t, line...); code != 1 || !strings.Contains(errs, "503") {
		t.Errorf("not ready: %d, %s", code, errs)
	}
	server.Close()
	if code, _, errs := (&admin{}).run(t, line...); code != 1 || !strings.Contains(errs, "no answer from") {
		t.Errorf("gone: %d, %s", code, errs)
	}
	if code, _, _ := (&admin{}).run(t, "health", "--process", "--admin", "http://\x7f"); code != 2 {
		t.Errorf("no URL: %d", code)
	}
}

func TestCreateIfNotExists(t *testing.T) {
	for name, created := range map[string]bool{"l": false, "other": true} {
		file := filepath.Join(t.TempDir(), "link.yaml")
		text := fmt.Sprintf("name: %s\nsource:\n  coordinators: [http://x:1]\n  bucket: file:///x\n", name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		a := &admin{}
		code, out, errs := a.run(t, "shadow", "create", "--if-not-exists", "-f", file)
		if code != 0 || created != (a.created != nil) || !created && !strings.Contains(out, "there already") {
			t.Errorf("%s: %d, %s%s", name, code, out, errs)
		}
	}
}

// The rest of `bucket init` is tested on a real store, in package bucket.
func TestBucketInitErrors(t *testing.T) {
	for _, c := range []struct {
		url, want string
		code      int
	}{
		{"file:///tmp/x", "needs no preparation", 2},
		{"http://x", "unknown scheme", 1},
		{"s3://user:secret@b", "has credentials in it", 1},
		{"s3://b?endpoint=http://127.0.0.1:1&profile=none", "", 1},
	} {
		code, _, errs := (&admin{}).run(t, "bucket", "init", c.url, "--timeout", "100ms")
		if code != c.code || !strings.Contains(errs, c.want) || strings.Contains(errs, "secret@") {
			t.Errorf("%s: %d, %s", c.url, code, errs)
		}
	}
	if code, _, _ := (&admin{}).run(t, "bucket", "init", "s3://b", "--timeout", "0s"); code != 2 {
		t.Errorf("no time: %d", code)
	}
	if code, _, errs := (&admin{}).run(t, "bucket", "init"); code != 2 || !strings.Contains(errs, "--help`") {
		t.Errorf("no URL: %d, %s", code, errs)
	}
}
