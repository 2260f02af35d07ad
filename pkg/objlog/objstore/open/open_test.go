package open

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

const secret = "s3cr3t-of-this-test"

func writeCredentials(t *testing.T, path, id, key string) {
	t.Helper()
	content := "[default]\naws_access_key_id = " + id + "\naws_secret_access_key = " + key + "\n\n" +
		"[other]\naws_access_key_id = OTHER\naws_secret_access_key = " + key + "\n"
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "credentials")
	writeCredentials(t, file, "AKID", secret)
	o := Options{CredentialsFile: file}
	for rawURL, want := range map[string]string{
		"file://" + dir + "/bucket":                                                 "file://" + dir + "/bucket",
		"file://" + dir + "/with%20space/":                                          "file://" + dir + "/with space",
		"s3://bucket?region=eu-central-1":                                           "s3://bucket",
		"s3://bucket/some/prefix/?region=eu-central-1":                              "s3://bucket/some/prefix",
		"s3://bucket?endpoint=http://127.0.0.1:9000":                                "s3://bucket",
		"s3://b/p?endpoint=https://s.test&region=r&path_style=false&sign_payload=1": "s3://b/p",
		"s3://b/p?endpoint=http://127.0.0.1:9000&region=us-east-1&path_style=true":  "s3://b/p",
		"s3://b/p?endpoint=http%3A%2F%2F127.0.0.1%3A9000%2F&region=r&profile=other": "s3://b/p",
	} {
		s, err := Open(context.Background(), rawURL, o)
		if err != nil {
			t.Errorf("%s: %v", rawURL, err)
			continue
		}
		if got := objstore.Describe(s); got != want {
			t.Errorf("%s is %s, want %s", rawURL, got, want)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestOpenRefuses: one sentence each, which says what is wrong and shows no value.
func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "credentials")
	writeCredentials(t, file, "AKID", secret)
	for rawURL, want := range map[string]string{
		"":                                                   "no scheme",
		"/var/lib/bucket":                                    "no scheme",
		"gs://bucket":                                        `unknown scheme "gs"`,
		"http://127.0.0.1:9000/bucket":                       `unknown scheme "http"`,
		"://" + secret:                                       "cannot be parsed",
		"s3://b?%zz=" + secret:                               "cannot be parsed",
		"file://relative/dir":                                "three slashes",
		"file:///dir?sync=" + secret:                         `"sync" in the bucket's URL is unknown: scheme file takes no settings`,
		"file:" + secret:                                     "not of the form",
		"s3:///prefix?region=r":                              "needs the bucket's name",
		"s3://bucket:9000?region=r":                          "needs the bucket's name",
		"s3://AKID:" + secret + "@b?region=r":                "has credentials in it",
		"s3://b?region=r&secret_key=" + secret:               `"secret_key" in the bucket's URL is unknown`,
		"s3://b?region=r&region=" + secret:                   `"region" is more than once`,
		"s3://b?region=r&path_style=" + secret:               "path_style in the bucket's URL is neither true nor false",
		"s3://b?region=r&sign_payload=" + secret:             "sign_payload in the bucket's URL is neither true nor false",
		"s3://b?region=r&endpoint=" + secret + ":9000":       "not an http or https URL",
		"s3://b?region=r&endpoint=http://u:" + secret + "@h": "endpoint in the bucket's URL has credentials",
		"s3://b?region=r&endpoint=http://h/" + secret:        "nothing after them",
		"s3://b/a/../b?region=r":                             "prefix of the S3 bucket",
		"s3://b?region=r&profile=missing":                    "no readable keys under the profile missing",
	} {
		s, err := Open(context.Background(), rawURL, Options{CredentialsFile: file})
		if err == nil {
			t.Errorf("%s: opened %s", rawURL, objstore.Describe(s))
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", rawURL, err, want)
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
}

func TestOpenWithoutIdentity(t *testing.T) {
	dir := t.TempDir()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": filepath.Join(dir, "none"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(dir, "none"),
		"AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	ctx := context.Background()
	if _, err := Open(ctx, "s3://b?region=r", Options{}); err == nil || !strings.Contains(err.Error(), "there are no credentials") {
		t.Errorf("no credentials: %v", err)
	}
	if _, err := Open(ctx, "s3://b", Options{}); err == nil || !strings.Contains(err.Error(), "region is not known") {
		t.Errorf("no region: %v", err)
	}
	_, err := Open(ctx, "s3://b?region=r", Options{CredentialsFile: filepath.Join(dir, "none")})
	if err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("no credentials file: %v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AKID")
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
	t.Setenv("AWS_REGION", "eu-central-1")
	if _, err := Open(ctx, "s3://b", Options{}); err != nil {
		t.Errorf("all in the environment: %v", err)
	}
}

// TestCredentialsFile: keys are rotated under a running store, and a file that is broken for a moment does no harm.
func TestCredentialsFile(t *testing.T) {
	ctx, file := context.Background(), filepath.Join(t.TempDir(), "credentials")
	writeCredentials(t, file, "FIRST", secret)
	f := &fileCredentials{path: file, profile: "default"}
	expect := func(want string) {
		t.Helper()
		got, err := f.Retrieve(ctx)
		if err != nil || got.AccessKeyID != want || got.SecretAccessKey != secret {
			t.Fatalf("key %q, %v; want %q", got.AccessKeyID, err, want)
		}
	}
	expect("FIRST")
	expect("FIRST")
	writeCredentials(t, file, "SECOND-LONGER", secret)
	expect("SECOND-LONGER")
	if err := os.WriteFile(file, []byte("[default"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect("SECOND-LONGER")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	expect("SECOND-LONGER")
	writeCredentials(t, file, "THIRD", secret)
	expect("THIRD")
	// Of the same length: only the time tells.
	writeCredentials(t, file, "FORTH", secret)
	later := time.Unix(2_000_000_000, 0)
	if err := os.Chtimes(file, later, later); err != nil {
		t.Fatal(err)
	}
	expect("FORTH")
}
