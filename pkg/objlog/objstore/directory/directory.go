package directory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

const (
	privateDir = ".gnomon" // no key begins with a dot
	tempDir    = privateDir + "/tmp"
	lockFile   = privateDir + "/lock"

	dirMode  = 0o755
	fileMode = 0o644
)

// Store is a bucket in a directory. All methods may be called concurrently.
type Store struct {
	path   string
	root   *os.Root
	lock   *os.File
	tempID atomic.Uint64
	prefix string // of this store's temporary names

	durableMu sync.Mutex
	durable   map[string]bool // folders whose names are known to be on the disk, up to the root

	failed atomic.Pointer[error] // set once a folder's fsync has failed

	// atStep, for tests, is called between the steps of a Put.
	atStep func(step string)
}

var _ objstore.Store = (*Store)(nil)

// Open opens the bucket in the directory, which it makes if it is not there, and removes what crashed processes left
// unfinished.
func Open(path string) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open the bucket: %w", err)
	}
	if err := os.MkdirAll(path, dirMode); err != nil {
		return nil, fmt.Errorf("open the bucket: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("open the bucket: %w", err)
	}
	s := &Store{path: path, root: root, durable: make(map[string]bool)}
	if err := s.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open the bucket %s: %w", path, err), s.Close())
	}
	return s, nil
}

func (s *Store) open() error {
	if err := s.root.MkdirAll(tempDir, dirMode); err != nil {
		return err
	}
	var err error
	if s.lock, err = s.root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, fileMode); err != nil {
		return err
	}
	if err := s.lockAndClean(); err != nil {
		return err
	}
	// CreateTemp's random name, made with O_EXCL, sets this store's temporary names apart from those of every other.
	mark, err := os.CreateTemp(filepath.Join(s.path, tempDir), "store-")
	if err != nil {
		return err
	}
	s.prefix = tempDir + "/" + filepath.Base(mark.Name()) + "-"
	if err := mark.Close(); err != nil {
		return err
	}
	for _, dir := range []string{filepath.Dir(s.path), s.path} {
		if err := syncPath(dir); err != nil {
			return err
		}
	}
	return nil
}

// lockAndClean takes the shared lock, and removes temporary files if nobody else has the bucket open.
//
// Making an exclusive lock a shared one is not atomic: another process may get the exclusive lock in between and clean
// up too. That harms nothing, as this store has no temporary file yet.
func (s *Store) lockAndClean() error {
	err := flock(s.lock, unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case err == nil:
		if err := s.removeTemporary(); err != nil {
			return err
		}
	case !errors.Is(err, unix.EWOULDBLOCK):
		return fmt.Errorf("lock %s: %w", lockFile, err)
	}
	if err := flock(s.lock, unix.LOCK_SH); err != nil {
		return fmt.Errorf("lock %s: %w", lockFile, err)
	}
	return nil
}

func (s *Store) removeTemporary() error {
	dir, err := s.root.Open(tempDir)
	if err != nil {
		return err
	}
	names, err := dir.Readdirnames(-1)
	if err = errors.Join(err, dir.Close()); err != nil {
		return err
	}
	for _, name := range names {
		if err := s.root.Remove(tempDir + "/" + name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// String gives the bucket as a URL: "file:///var/lib/gnomon".
func (s *Store) String() string { return "file://" + filepath.ToSlash(s.path) }

// Close releases the bucket. Calls that are under way may fail.
func (s *Store) Close() error {
	var errs []error
	if s.prefix != "" {
		if err := s.root.Remove(s.prefix[:len(s.prefix)-1]); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(append(errs, s.root.Close())...)
}

// check refuses a call on a store that has failed, a bad key, or a context that has ended.
func (s *Store) check(ctx context.Context, doing, key string) error {
	if err := objstore.ValidateKey(key); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return s.usable(ctx, doing, key)
}

func (s *Store) usable(ctx context.Context, doing, key string) error {
	if failed := s.failed.Load(); failed != nil {
		return fmt.Errorf("%s %s: the bucket must be opened anew: %w", doing, key, *failed)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s %s: %w: %w", doing, key, base.ErrUnavailable, err)
	}
	return nil
}

// wrap says what was being done, and which kind of error it is.
func wrap(doing, key string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.EISDIR):
		return fmt.Errorf("%s %s: %w: %w", doing, key, base.ErrNotFound, err)
	case mayPass(err):
		return fmt.Errorf("%s %s: %w: %w", doing, key, base.ErrUnavailable, err)
	default:
		return fmt.Errorf("%s %s: %w", doing, key, err)
	}
}

// mayPass tells whether the operating system's answer may be another one later.
func mayPass(err error) bool {
	for _, number := range []unix.Errno{
		unix.ENOSPC, unix.EDQUOT, unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.EAGAIN, unix.EBUSY, unix.ETIMEDOUT,
	} {
		if errors.Is(err, number) {
			return true
		}
	}
	return false
}

func flock(f *os.File, how int) error {
	for {
		// Fd of a file that Root opened: the lock belongs to the open file, and ends with it.
		err := unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func syncPath(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
