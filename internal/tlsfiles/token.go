package tlsfiles

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"
)

// TokenMin is the length of the shortest token that is taken: shorter ones can be guessed.
const TokenMin = 16

// Token is a secret in a file, for comparison with what a caller presents.
type Token struct {
	path    string
	now     func() time.Time
	logger  *slog.Logger
	current atomic.Pointer[[sha256.Size]byte]
	reading atomic.Bool
	checked atomic.Int64 // Unix nanoseconds
	failing atomic.Bool
}

// OpenToken reads a token that callers will present.
func OpenToken(path string, now func() time.Time, logger *slog.Logger) (*Token, error) {
	t := &Token{path: path, now: now, logger: logger}
	if err := t.read(); err != nil {
		return nil, err
	}
	t.checked.Store(now().UnixNano())
	return t, nil
}

func (t *Token) read() error {
	text, err := ReadSecret(t.path)
	if err == nil && len(text) < TokenMin {
		err = fmt.Errorf("%s: the token has %d characters, at least %d are needed: make one with `openssl rand -hex 32`", t.path, len(text), TokenMin)
	}
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	sum := sha256.Sum256([]byte(text))
	t.current.Store(&sum)
	return nil
}

// Is compares in a time that tells nothing of the token. A file that changed counts after CheckEvery at most.
func (t *Token) Is(presented string) bool {
	now := t.now()
	if now.UnixNano()-t.checked.Load() >= int64(CheckEvery) && t.reading.CompareAndSwap(false, true) {
		if err := t.read(); err == nil {
			t.failing.Store(false)
		} else if !t.failing.Swap(true) {
			t.logger.Warn("the renewed token is not taken: the one before stays in use", "error", err)
		}
		t.checked.Store(now.UnixNano())
		t.reading.Store(false)
	}
	sum := sha256.Sum256([]byte(presented))
	return subtle.ConstantTimeCompare(sum[:], t.current.Load()[:]) == 1
}

// ReadSecret reads a file that holds one line: a password, a token.
func ReadSecret(path string) (string, error) {
	raw, err := readFile(path)
	if err != nil {
		return "", err
	}
	text := strings.TrimSpace(string(raw))
	switch {
	case text == "":
		return "", fmt.Errorf("%s is empty: it has to hold one line", path)
	case strings.ContainsAny(text, "\r\n"):
		return "", errors.New(path + " holds more than one line")
	}
	return text, nil
}
