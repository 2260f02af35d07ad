package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// Failure is an error as it is shown: what failed, why, and what to do.
type Failure struct { //nolint:errname // its users know it by what it is to the operator
	What   string // "create topic orders"
	Cause  error
	Remedy string // "…"; may be empty when the cause says it all
}

// Error gives one sentence.
func (f *Failure) Error() string {
	text := "cannot " + f.What
	if f.Cause != nil {
		text += ": " + cause(f.Cause)
	}
	if f.Remedy != "" {
		text += "; " + f.Remedy
	}
	return text
}

// Unwrap gives the cause.
func (f *Failure) Unwrap() error { return f.Cause }

// Fail makes a Failure.
func Fail(what string, cause error, remedy string) error {
	return &Failure{What: what, Cause: cause, Remedy: remedy}
}

// usageError is a mistake in the command line.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// remedies of Kafka's error codes that users of a shadow, or of a topic that is not there, meet.
var remedies = map[*kerr.Error]string{
	kerr.UnknownTopicOrPartition: "see what there is with `gnomon topic list`, or create it with `gnomon topic create`",
	kerr.TopicAlreadyExists:      "take another name, or pass --if-not-exists",
	kerr.NotLeaderForPartition:   "the region is a shadow or fenced: write to the primary, or fail over with `gnomon shadow failover`",
	kerr.CoordinatorNotAvailable: "groups of a shadow run at its primary until a failover; else try again in a moment",
	kerr.PolicyViolation:         "topics of a shadow are changed at its source: name the primary by --brokers",
	kerr.InvalidPartitions:       "ask for at least one partition, and for more than the topic has",
	kerr.OffsetOutOfRange:        "see where the partition begins and ends with `gnomon topic describe`",
	kerr.GroupIDNotFound:         "see what there is with `gnomon group list`",
	kerr.NonEmptyGroup:           "stop its members first; see them with `gnomon group describe`",
	kerr.UnknownMemberID:         "stop the group's members first; see them with `gnomon group describe`",
	kerr.GroupSubscribedToTopic:  "stop the members that read the topic first; see them with `gnomon group describe`",
	kerr.InvalidTopicException:   "a topic's name has 1 to 249 letters, digits, '.', '_' and '-'",
	kerr.InvalidConfig:           "check the names and values given by --config",
	kerr.MessageTooLarge:         "raise the topic's max.message.bytes, or send smaller records",
}

// failKafka makes a Failure of an error that a broker may have given, with the remedy for its code.
func failKafka(what string, err error) error {
	var code *kerr.Error
	if errors.As(err, &code) {
		return Fail(what, err, remedies[code])
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return Fail(what, errors.New("no answer in time"), "check the cluster with `gnomon health`, and try again")
	}
	return Fail(what, err, "")
}

// failWords is failKafka with the broker's own words, where it has any, before the text of its code.
func failWords(what string, err error, words string) error {
	if words == "" {
		return failKafka(what, err)
	}
	err = fmt.Errorf("%s (%w)", words, err)
	if errors.Is(err, kerr.PolicyViolation) && !strings.Contains(words, "source") {
		return Fail(what, err, "") // a policy other than that of a shadow: the words say which
	}
	return failKafka(what, err)
}

// joined makes one error of several, a line each.
func joined(failures []error) error {
	if len(failures) == 1 {
		return failures[0]
	}
	return errors.Join(failures...)
}

// cause gives an error's text without line breaks.
func cause(err error) string {
	var code *kerr.Error
	if errors.As(err, &code) && err.Error() == code.Error() {
		return strings.TrimSuffix(fmt.Sprintf("%s (%s)", lower(code.Description), code.Message), ".")
	}
	return strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ")
}

func lower(s string) string {
	s = strings.TrimSuffix(s, ".")
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// report writes err as C2 and C3 have it and returns the exit code.
func (e *Env) report(err error) int {
	if err == nil {
		return exitOK
	}
	if e.JSON() {
		text, _ := json.Marshal(map[string]string{"error": err.Error()}) //nolint:errchkjson // a map of texts can be encoded
		_, _ = fmt.Fprintln(e.Err, string(text))
	} else {
		_, _ = fmt.Fprintln(e.Err, "gnomon:", err)
	}
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}
