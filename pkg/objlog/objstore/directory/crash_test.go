package directory

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// The variables by which TestCrash tells its own process, started again, to die in a Put.
const (
	crashDir  = "GNOMON_TEST_CRASH_DIR"
	crashStep = "GNOMON_TEST_CRASH_STEP"
)

var crashPayload = objstore.Payload{make([]byte, 300_000), []byte("the end")}

// TestCrash kills a process with SIGKILL at each step of a Put: the object is there whole, or not at all (invariant 1),
// its leftovers are not to be seen, and the next start removes them.
func TestCrash(t *testing.T) {
	if dir := os.Getenv(crashDir); dir != "" {
		dieInPut(t, dir, os.Getenv(crashStep))
		return
	}
	for _, test := range []struct {
		step   string
		stored bool
	}{
		{stepWritten, false}, {stepSynced, false}, {stepLinked, true}, {stepDurable, true},
	} {
		t.Run(test.step, func(t *testing.T) {
			ctx, dir := context.Background(), t.TempDir()
			child := exec.Command(os.Args[0], "-test.run=^TestCrash$")
			child.Env = append(os.Environ(), crashDir+"="+dir, crashStep+"="+test.step)
			out, err := child.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("the child ended with %v, want SIGKILL:\n%s", err, out)
			}
			if left := temporaryFiles(t, dir); len(left) != 2 { // the Put's, and the store's mark
				t.Fatalf("the crash left %v, want two files", left)
			}

			s := mustOpen(t, dir)
			defer func() { _ = s.Close() }()
			if left := temporaryFiles(t, dir); len(left) != 1 {
				t.Errorf("after a new start there are %v, want this store's mark alone", left)
			}
			infos, err := s.List(ctx, "", "", 10)
			if err != nil || (len(infos) == 1) != test.stored {
				t.Fatalf("listed %v, %v; stored should be %v", infos, err, test.stored)
			}
			err = s.Put(ctx, "data/a/b", crashPayload)
			if errors.Is(err, objstore.ErrExists) != test.stored {
				t.Fatalf("put again: %v; stored should be %v", err, test.stored)
			}
			got, err := s.Get(ctx, "data/a/b", 1<<20)
			if err != nil || string(got) != string(crashPayload.Bytes()) {
				t.Fatalf("%d bytes, %v; want the whole object", len(got), err)
			}
		})
	}
}

func dieInPut(t *testing.T, dir, at string) {
	s := mustOpen(t, dir)
	s.atStep = func(step string) {
		if step == at {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // until it arrives
		}
	}
	t.Fatalf("survived: %v", s.Put(context.Background(), "data/a/b", crashPayload))
}

func temporaryFiles(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, tempDir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestOpenLeavesOthersAlone: a second store on the directory does not remove what the first is writing (invariant 3).
func TestOpenLeavesOthersAlone(t *testing.T) {
	dir := t.TempDir()
	first := mustOpen(t, dir)
	first.atStep = func(step string) {
		if step == stepSynced {
			second := mustOpen(t, dir)
			if err := second.Put(context.Background(), "b", objstore.Payload{[]byte("second")}); err != nil {
				t.Errorf("put by the second: %v", err)
			}
			if err := second.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := first.Put(context.Background(), "a", objstore.Payload{[]byte("first")}); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if left := temporaryFiles(t, dir); len(left) != 0 {
		t.Errorf("closed stores leave %v", left)
	}
}

// TestLinkDecides: the name is taken while the bytes are being written.
func TestLinkDecides(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	s, other := mustOpen(t, dir), mustOpen(t, dir)
	s.atStep = func(step string) {
		if step == stepSynced {
			if err := other.Put(ctx, "a", objstore.Payload{[]byte("other")}); err != nil {
				t.Error(err)
			}
		}
	}
	if err := s.Put(ctx, "a", objstore.Payload{[]byte("mine")}); !errors.Is(err, objstore.ErrExists) {
		t.Fatalf("%v, want ErrExists", err)
	}
	if got, err := s.Get(ctx, "a", 10); err != nil || string(got) != "other" {
		t.Fatalf("%q, %v", got, err)
	}
	if left := temporaryFiles(t, dir); len(left) != 2 { // the marks
		t.Errorf("a refused put leaves %v", left)
	}
}

// TestFolderRemoved: a folder that another program removes between two Puts is made, and synced, again.
func TestFolderRemoved(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	s := mustOpen(t, dir)
	if err := s.Put(ctx, "x/y/1", nil); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "x")); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(ctx, "x/y/2", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Head(ctx, "x/y/2"); err != nil {
		t.Fatal(err)
	}
}

// TestFailedFsync: once a folder's fsync has failed the store says nothing any more, least of all that an object is there.
func TestFailedFsync(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	s := mustOpen(t, dir)
	s.atStep = func(step string) {
		if step == stepLinked { // the folder cannot be opened for its fsync
			if err := os.Rename(filepath.Join(dir, "x"), filepath.Join(dir, "moved")); err != nil {
				t.Error(err)
			}
		}
	}
	if err := s.Put(ctx, "x/1", nil); !errors.Is(err, objstore.ErrAmbiguous) {
		t.Fatalf("%v, want ErrAmbiguous", err)
	}
	s.atStep = nil
	if _, err := s.Head(ctx, "moved/1"); err == nil || errors.Is(err, base.ErrUnavailable) || errors.Is(err, base.ErrNotFound) {
		t.Fatalf("head: %v, want a final error", err)
	}
	if err := s.Put(ctx, "y", nil); err == nil || errors.Is(err, objstore.ErrAmbiguous) {
		t.Fatalf("put: %v, want a final error", err)
	}
	if _, err := mustOpen(t, dir).Head(ctx, "moved/1"); err != nil {
		t.Fatalf("opened anew: %v", err)
	}
}

// TestNoEscape: neither a key nor a link leads out of the bucket, and its own files are no objects.
func TestNoEscape(t *testing.T) {
	ctx, dir, outside := context.Background(), t.TempDir(), t.TempDir()
	s := mustOpen(t, dir)
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(ctx, "out/secret", 10); err == nil {
		t.Errorf("read %q outside", got)
	}
	if err := s.Put(ctx, "out/new", nil); err == nil {
		t.Error("wrote outside")
	}
	if infos, err := s.List(ctx, "", "", 10); err != nil || len(infos) != 0 {
		t.Errorf("an empty bucket lists %v, %v", infos, err)
	}
}

// TestKeyAndFolder: what the package does not support fails with an error that says so, and stores nothing.
func TestKeyAndFolder(t *testing.T) {
	ctx := context.Background()
	s := mustOpen(t, t.TempDir())
	if err := s.Put(ctx, "a/b", nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(ctx, "a", nil); err == nil {
		t.Error("a folder became an object")
	}
	if err := s.Put(ctx, "a/b/c", nil); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("an object became a folder: %v", err)
	}
	if err := s.Delete(ctx, "a"); err != nil {
		t.Errorf("delete of what is no object: %v", err)
	}
	if infos, err := s.List(ctx, "", "", 10); err != nil || len(infos) != 1 {
		t.Errorf("%v, %v", infos, err)
	}
}

func TestFullDisk(t *testing.T) {
	for _, number := range []syscall.Errno{syscall.ENOSPC, syscall.EMFILE} {
		err := wrapPut("k", &os.PathError{Op: "write", Path: "x", Err: number})
		if !errors.Is(err, base.ErrUnavailable) {
			t.Errorf("%v: want ErrUnavailable", err)
		}
	}
	if err := wrapPut("k", &os.PathError{Op: "write", Path: "x", Err: syscall.EIO}); errors.Is(err, base.ErrUnavailable) {
		t.Errorf("%v: an input/output error does not pass", err)
	}
}
