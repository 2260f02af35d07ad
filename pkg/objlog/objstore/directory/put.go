package directory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// The steps of a Put, at each of which a test kills the process.
const (
	stepWritten = "written" // the temporary file is whole, but not synced
	stepSynced  = "synced"  // it is on the disk, but has no name
	stepLinked  = "linked"  // it has its name, which may not be on the disk
	stepDurable = "durable" // all is done but the removal of the temporary name
)

// linkAttempts bounds how often a Put makes a folder that another program removes at the same time.
const linkAttempts = 3

// Put implements objstore.Store. It does not look at ctx again once it has begun to write.
func (s *Store) Put(ctx context.Context, key string, p objstore.Payload) error {
	if err := s.check(ctx, "put", key); err != nil {
		return err
	}
	// A shortcut: link decides, but a taken key need not be paid for with a written file.
	if _, err := s.root.Lstat(key); err == nil {
		return fmt.Errorf("put %s: %w", key, objstore.ErrExists)
	}
	temp := s.prefix + strconv.FormatUint(s.tempID.Add(1), 10)
	if err := s.writeTemp(temp, p); err != nil {
		return wrapPut(key, errors.Join(err, s.removeTemp(temp)))
	}
	s.step(stepSynced)
	if err := s.link(temp, key); err != nil {
		return wrapPut(key, errors.Join(err, s.removeTemp(temp)))
	}
	s.step(stepLinked)
	if err := s.syncDir(path.Dir(key)); err != nil {
		failure := fmt.Errorf("fsync of the folder of %s: %w", key, err)
		s.failed.CompareAndSwap(nil, &failure)
		return fmt.Errorf("put %s: %w: %w", key, objstore.ErrAmbiguous, failure)
	}
	s.step(stepDurable)
	// The object is stored, whatever becomes of its second name: what stays is removed at a later start.
	_ = s.removeTemp(temp)
	return nil
}

// writeTemp writes and syncs the payload under a temporary name.
func (s *Store) writeTemp(temp string, p objstore.Payload) (err error) {
	f, err := s.createAndWrite(temp, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	s.step(stepWritten)
	return f.Sync()
}

// writeBuffered writes the slices as they are, through the page cache.
func (s *Store) writeBuffered(temp string, p objstore.Payload) (*os.File, error) {
	f, err := s.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, err
	}
	for _, b := range p {
		if _, err := f.Write(b); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return f, nil
}

// link gives the temporary file the key's name, in a folder whose own name is on the disk.
func (s *Store) link(temp, key string) error {
	dir := path.Dir(key)
	for attempt := 1; ; attempt++ {
		if err := s.ensureDir(dir); err != nil {
			return err
		}
		err := s.root.Link(temp, key)
		if !errors.Is(err, fs.ErrNotExist) || attempt == linkAttempts {
			return err
		}
		s.durableMu.Lock()
		delete(s.durable, dir)
		s.durableMu.Unlock()
	}
}

// ensureDir makes the folder and its parents, and has their names on the disk before it returns. A folder that is
// already there may have been made by a Put that has not synced it yet, so the first use by this process syncs anyway.
func (s *Store) ensureDir(dir string) error {
	s.durableMu.Lock()
	known := s.durable[dir]
	s.durableMu.Unlock()
	if known {
		return nil
	}
	if err := s.root.MkdirAll(dir, dirMode); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the folder %s: %w", dir, unix.ENOTDIR) // an object is in the way: not the key itself
	} else if err != nil {
		return err
	}
	for at := dir; at != "."; {
		at = path.Dir(at)
		if err := s.syncDir(at); err != nil {
			return err
		}
	}
	s.durableMu.Lock()
	s.durable[dir] = true
	s.durableMu.Unlock()
	return nil
}

func (s *Store) syncDir(dir string) error {
	f, err := s.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (s *Store) removeTemp(temp string) error {
	if err := s.root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (s *Store) step(name string) {
	if s.atStep != nil {
		s.atStep(name)
	}
}

// wrapPut is wrap for errors before the object had its name: nothing is stored.
func wrapPut(key string, err error) error {
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("put %s: %w", key, objstore.ErrExists)
	case mayPass(err):
		return fmt.Errorf("put %s: %w: %w", key, base.ErrUnavailable, err)
	default:
		return fmt.Errorf("put %s: %w", key, err)
	}
}
