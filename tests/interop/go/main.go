// Command go checks two Go clients with default settings: go run . CLIENT PART BROKERS ARGUMENTS…, CLIENT being sarama or franz.
//
//	checks BROKERS PREFIX        what it wrote comes back, byte for byte
//	before BROKERS TOPIC GROUP   writes, reads a part in a group, commits, and prints what it committed by partition, as JSON
//	after BROKERS TOPIC GROUP    reads on in the group, and prints the first offset that each partition gave
//
// It is a module of its own, so that Gnomon's does not depend on clients.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// record is what the checks look at.
type record struct {
	key, value []byte
	headers    []string // name=value
}

// client is a library under test.
type client interface {
	// roundTrip creates a topic of one partition, writes records idempotently under a codec, checks that they are acked from offset
	// 0 on, and reads them from the start.
	roundTrip(topic, codec string, records []record) ([]record, error)
	// offsets checks reading from an offset and by time, and the ends.
	offsets(topic string, records int) error
	// group has two members share a topic of four partitions, commits 100 for each, and checks what is committed.
	group(topic, group string) error
	// admin creates, grows, changes, empties in part, and deletes a topic.
	admin(topic string) error
	before(topic, group string) (map[int32]int64, error)
	after(topic, group string) (map[int32]int64, error)
}

const (
	wait  = 60 * time.Second
	large = 900_000 // bytes of a record that a client may send with default settings
)

var codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

func main() {
	if err := run(os.Args[1], os.Args[2], strings.Split(os.Args[3], ","), os.Args[4:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(library, part string, brokers, args []string) error {
	var c client
	switch library {
	case "sarama":
		c = newSarama(brokers)
	case "franz":
		c = newFranz(brokers)
	default:
		return fmt.Errorf("no client %q", library)
	}
	if part == "checks" {
		return checks(c, args[0])
	}
	next, err := map[string]func(string, string) (map[int32]int64, error){"before": c.before, "after": c.after}[part](args[0], args[1])
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(next)
}

func checks(c client, prefix string) error {
	for _, codec := range codecs {
		want := records(codec)
		got, err := c.roundTrip(prefix+"-"+codec, codec, want)
		if err != nil {
			return fmt.Errorf("%s: %w", codec, err)
		}
		for i := range want {
			if !want[i].equal(got[i]) {
				return fmt.Errorf("%s, record %d: got %.200v, want %.200v", codec, i, got[i], want[i])
			}
		}
		fmt.Println("ok produce and consume,", codec)
	}
	for _, check := range []struct {
		name string
		do   func() error
	}{
		{"offsets and times", func() error { return c.offsets(prefix+"-none", len(records("none"))) }},
		{"groups", func() error { return c.group(prefix+"-group", prefix+"-g") }},
		{"administration", func() error { return c.admin(prefix + "-admin") }},
	} {
		if err := check.do(); err != nil {
			return fmt.Errorf("%s: %w", check.name, err)
		}
		fmt.Println("ok", check.name)
	}
	return nil
}

func records(codec string) []record {
	big := make([]byte, large)
	for i := range big {
		big[i] = byte(i * 7 % 251)
	}
	out := []record{
		{[]byte("key"), []byte("value " + codec), []string{"h=1", "h=2", "empty="}},
		{nil, []byte("no key"), nil}, {[]byte("no value"), nil, nil}, {[]byte{}, []byte{}, nil}, {[]byte("large"), big, nil},
	}
	for i := range 200 {
		out = append(out, record{fmt.Appendf(nil, "k%d", i%3), fmt.Appendf(nil, "%d", i), nil})
	}
	return out
}

func (r record) equal(o record) bool {
	return same(r.key, o.key) && same(r.value, o.value) && slices.Equal(r.headers, o.headers)
}

// same tells null from empty.
func same(a, b []byte) bool { return (a == nil) == (b == nil) && string(a) == string(b) }

// eventually waits for something that other members bring about.
func eventually(what string, ok func() bool) error {
	for end := time.Now().Add(wait); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			return errors.New("waited in vain for " + what)
		}
	}
	return nil
}

func expect[T comparable](what string, got, want T) error {
	if got != want {
		return fmt.Errorf("%s: got %v, want %v", what, got, want)
	}
	return nil
}

// cut splits a header.
func cut(h string) (name string, value []byte, ok bool) {
	n, v, ok := strings.Cut(h, "=")
	return n, []byte(v), ok
}
