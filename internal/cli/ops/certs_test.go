package ops

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCertsDev(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certs")
	line := []string{"certs", "dev", "--out", dir, "--host", "a.example"}
	code, out, errs := (&admin{}).run(t, append(line, "--format", "json")...)
	var set struct {
		Dir   string
		Hosts []string
		Files []struct{ Name, Purpose string }
	}
	if err := json.Unmarshal([]byte(out), &set); code != 0 || err != nil || set.Dir != dir || len(set.Files) < 10 || set.Hosts[len(set.Hosts)-1] != "a.example" {
		t.Fatalf("%d, %v: %s%s", code, err, out, errs)
	}
	for _, f := range set.Files {
		if _, err := os.Stat(filepath.Join(dir, f.Name)); err != nil || f.Purpose == "" {
			t.Errorf("%+v: %v", f, err)
		}
	}
	if code, out, errs := (&admin{}).run(t, line...); code != 1 || !strings.Contains(errs, "--force") {
		t.Errorf("again: %d, %s%s", code, out, errs)
	}
	if code, out, errs := (&admin{}).run(t, append(line, "--if-not-exists")...); code != 0 || !strings.Contains(out, "nothing was made") {
		t.Errorf("if not there: %d, %s%s", code, out, errs)
	}
	code, out, errs = (&admin{}).run(t, append(line, "--force")...)
	if code != 0 || !strings.Contains(out, "for tests only") || !strings.Contains(out, "coordinator-key.pem") {
		t.Errorf("by force: %d, %s%s", code, out, errs)
	}
	token, err := os.ReadFile(filepath.Join(dir, "admin-token"))
	if err != nil || strings.Contains(out+errs, strings.TrimSpace(string(token))) {
		t.Errorf("the token is printed, or not there: %v", err)
	}
	for _, wrong := range [][]string{{"--out", ""}, {"--host", "http://x:1"}, {"--valid", "0s"}} {
		if code, _, errs := (&admin{}).run(t, append(line, wrong...)...); code != 2 {
			t.Errorf("%q: %d, %s", wrong, code, errs)
		}
	}
}
