package dev

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// lockRegion keeps other processes off a region's part of the data directory, until the file is closed or the process
// ends, however it ends. Without it a second process with other ports would wait for the first one's etcd without end, or,
// with an etcd that runs elsewhere, take turns in leading with it.
func lockRegion(dir, region string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("directory of region %s cannot be made: %w", region, err)
	}
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("region %s cannot be locked: %w", region, err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, note(f)
	}
	holder, _ := os.ReadFile(path) // only to name it
	_ = f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("region %s in %s is run by another process (%s): stop that one, or choose another directory with --data",
			region, filepath.Dir(dir), strings.TrimSpace(string(holder)))
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}

// note writes into a lock who holds it.
func note(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("write %s: %w", f.Name(), err)
	}
	if _, err := f.WriteAt(fmt.Appendf(nil, "process %d\n", os.Getpid()), 0); err != nil {
		return fmt.Errorf("write %s: %w", f.Name(), err)
	}
	return nil
}
