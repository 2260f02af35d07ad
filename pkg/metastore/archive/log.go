package archive

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path"
	"strconv"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func logPrefix(incarnation string) string { return "meta/log/" + incarnation + "/" }

// logKey names the object that begins with an entry. The name has nothing else: so that of all who want to archive that entry, be it one after
// another or at the same instant, the store lets one (A3).
func logKey(incarnation string, first base.Seq) string {
	return fmt.Sprintf("%s%016x", logPrefix(incarnation), uint64(first))
}

// LogFirst is the first seq of a log object by its key.
func LogFirst(key string) (base.Seq, error) {
	name := path.Base(key)
	first, err := strconv.ParseUint(name, 16, 64)
	if err != nil || len(name) != 16 {
		return 0, fmt.Errorf("object %s is not named as archived entries are: it is of an earlier build, or no archived log: %w", key, base.ErrCorrupt)
	}
	return base.Seq(first), nil
}

// ErrOther says that the archive has another entry than what is to be archived: there are two histories of the log.
var ErrOther = errors.New("the archive has another entry")

// Writer writes entries of one incarnation.
type Writer struct {
	objects     Objects
	incarnation string
}

// NewWriter returns a writer for an incarnation's log.
func NewWriter(o Objects, incarnation string) *Writer { return &Writer{o, incarnation} }

// EntriesMax bounds the entries of one object, so that a reader knows how far before a seq to look for it.
const EntriesMax = 8192

// entriesBytesMax bounds the bytes of one object's entries, unless it is one entry: what is written must be read (logObjectMax).
const entriesBytesMax = 32 << 20

// Archive stores contiguous entries, as many as one object may hold, as one object and returns the pointer to its end. The first one has to be the
// first of the incarnation, or to follow the end of an object that is there. Where somebody has archived the same before, in an object that may end
// before or behind what is given, the pointer is to the end of that one; of what lies behind the caller has to find out whether it is the log's. ErrOther
// when it is not the same.
func (w *Writer) Archive(ctx context.Context, entries []metastore.RawEntry) (*metalogpb.Pointer, error) {
	entries = fitting(entries)
	key := logKey(w.incarnation, entries[0].Seq)
	err := w.objects.PutIfAbsent(ctx, key, encodeLog(w.incarnation, entries))
	if errors.Is(err, ErrTaken) {
		entries, err = w.adopt(ctx, key, entries)
	}
	if err != nil {
		return nil, fmt.Errorf("archive entries from seq %d on: %w", entries[0].Seq, err)
	}
	last := entries[len(entries)-1]
	hash := metastore.HashOf(last.Value)
	return &metalogpb.Pointer{Seq: uint64(last.Seq), Object: key, Hash: hash[:]}, nil
}

// fitting is as many entries as one object may hold.
func fitting(entries []metastore.RawEntry) []metastore.RawEntry {
	n, size := 1, len(entries[0].Value)
	for n < min(len(entries), EntriesMax) && size+len(entries[n].Value) <= entriesBytesMax {
		size += len(entries[n].Value)
		n++
	}
	return entries[:n]
}

// adopt returns the entries of the object that is there, if it is of the same history as what was to be put.
func (w *Writer) adopt(ctx context.Context, key string, entries []metastore.RawEntry) ([]metastore.RawEntry, error) {
	there, err := getLog(ctx, w.objects, w.incarnation, key)
	if err != nil {
		return entries, fmt.Errorf("compare with what is there: %w", err)
	}
	for i := range min(len(there), len(entries)) {
		if !bytes.Equal(there[i].Value, entries[i].Value) {
			return entries, fmt.Errorf("object %s, entry %d: %w", key, entries[i].Seq, ErrOther)
		}
	}
	return there, nil
}

func encodeLog(incarnation string, entries []metastore.RawEntry) []byte {
	b := binary.BigEndian.AppendUint16([]byte(magicLog), formatVersion)
	b = binary.BigEndian.AppendUint16(b, uint16(len(incarnation)))
	b = append(b, incarnation...)
	b = binary.BigEndian.AppendUint64(b, uint64(entries[0].Seq))
	b = binary.BigEndian.AppendUint64(b, uint64(entries[len(entries)-1].Seq))
	for _, e := range entries {
		b = binary.BigEndian.AppendUint32(b, uint32(len(e.Value)))
		b = append(b, e.Value...)
	}
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeLog returns the entries of a log object: base.ErrVersion, base.ErrCorrupt.
func decodeLog(incarnation string, b []byte) ([]metastore.RawEntry, error) {
	bad := func(what string) error { return fmt.Errorf("archived log: %s: %w", what, base.ErrCorrupt) }
	if len(b) < 8+2+2+4 || string(b[:8]) != magicLog {
		return nil, bad("not a log object")
	}
	if v := binary.BigEndian.Uint16(b[8:]); v != formatVersion {
		return nil, fmt.Errorf("archived log of format version %d, this build knows %d: %w", v, formatVersion, base.ErrVersion)
	}
	body := b[:len(b)-4]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(b[len(b)-4:]) {
		return nil, bad("wrong CRC")
	}
	n := int(binary.BigEndian.Uint16(b[10:]))
	body = body[12:]
	if len(body) < n+16 || string(body[:n]) != incarnation {
		return nil, bad("of another incarnation")
	}
	first, last := base.Seq(binary.BigEndian.Uint64(body[n:])), base.Seq(binary.BigEndian.Uint64(body[n+8:]))
	body = body[n+16:]
	var out []metastore.RawEntry
	for seq := first; len(body) > 0; seq++ {
		if len(body) < 4 || uint64(binary.BigEndian.Uint32(body)) > uint64(len(body)-4) {
			return nil, bad("an entry overruns it")
		}
		size := binary.BigEndian.Uint32(body)
		out = append(out, metastore.RawEntry{Seq: seq, Value: body[4 : 4+size]})
		body = body[4+size:]
	}
	if len(out) == 0 || out[len(out)-1].Seq != last {
		return nil, bad("its entries are not those it names")
	}
	return out, nil
}

// Reader reads archived entries.
type Reader struct{ objects Objects }

// NewReader returns a reader of a bucket's archive.
func NewReader(o Objects) *Reader { return &Reader{o} }

const listLimit = 1000

// Read returns archived entries from seq on, contiguous, about maxBytes of them at most but one object at least; none
// when the archive ends before seq. What an incarnation took over from its parent is read there.
func (r *Reader) Read(ctx context.Context, incarnation string, from base.Seq, maxBytes int) ([]metastore.RawEntry, error) {
	out, err := r.readOwn(ctx, incarnation, from, maxBytes)
	if err != nil || len(out) > 0 {
		return out, err
	}
	l, found, err := lineageOf(ctx, r.objects, incarnation)
	if err != nil || !found || from > l.ParentSeq {
		return nil, err
	}
	if out, err = r.Read(ctx, l.Parent, from, maxBytes); err != nil {
		return nil, err
	}
	// The parent may go on behind the restore: an etcd that was believed to be lost, or that was set back.
	return out[:min(len(out), int(l.ParentSeq-from)+1)], nil
}

// readOwn follows the objects from one to the next by their names: each begins where the one before ends (A3).
func (r *Reader) readOwn(ctx context.Context, incarnation string, from base.Seq, maxBytes int) ([]metastore.RawEntry, error) {
	entries, err := r.holding(ctx, incarnation, from)
	var out []metastore.RawEntry
	for size := 0; err == nil; {
		for _, e := range entries {
			if e.Seq >= from {
				out = append(out, e)
				size += len(e.Value)
			}
		}
		if len(out) == 0 || size >= maxBytes {
			return out, nil
		}
		from = out[len(out)-1].Seq + 1
		entries, err = getLog(ctx, r.objects, incarnation, logKey(incarnation, from))
	}
	if errors.Is(err, base.ErrNotFound) {
		return out, nil
	}
	return nil, err
}

// holding returns the entries of the object that holds a seq, or of the last one that begins before it. base.ErrNotFound when none does.
func (r *Reader) holding(ctx context.Context, incarnation string, seq base.Seq) ([]metastore.RawEntry, error) {
	// Whoever reads on asks for the beginning of an object.
	entries, err := getLog(ctx, r.objects, incarnation, logKey(incarnation, seq))
	if !errors.Is(err, base.ErrNotFound) {
		return entries, err
	}
	// Names sort by first seq, and the object that holds seq begins at most EntriesMax before it.
	after, key := "", ""
	if seq > EntriesMax {
		after = logKey(incarnation, seq-EntriesMax)
	}
	for {
		keys, err := r.objects.List(ctx, logPrefix(incarnation), after, listLimit)
		if err != nil {
			return nil, fmt.Errorf("list the archive: %w", err)
		}
		for _, k := range keys {
			first, err := LogFirst(k)
			if err != nil {
				return nil, err
			}
			if first > seq {
				break
			}
			key = k
		}
		if len(keys) < listLimit || key != keys[len(keys)-1] {
			break
		}
		after = key
	}
	if key == "" {
		return nil, fmt.Errorf("entry %d of incarnation %s in the archive: %w", seq, incarnation, base.ErrNotFound)
	}
	return getLog(ctx, r.objects, incarnation, key)
}

// getLog reads a log object.
func getLog(ctx context.Context, o Objects, incarnation, key string) ([]metastore.RawEntry, error) {
	b, err := o.Get(ctx, key, logObjectMax)
	if err != nil {
		return nil, err
	}
	entries, err := decodeLog(incarnation, b)
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", key, err)
	}
	if key != logKey(incarnation, entries[0].Seq) {
		return nil, fmt.Errorf("object %s holds entries from seq %d on: %w", key, entries[0].Seq, base.ErrCorrupt)
	}
	return entries, nil
}
