package archive

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"path"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func logPrefix(incarnation string) string { return "meta/log/" + incarnation + "/" }

func logName(first, last base.Seq) string {
	return fmt.Sprintf("%016x-%016x", uint64(first), uint64(last))
}

func parseLogName(key string) (first, last base.Seq, ok bool) {
	var f, l uint64
	n, err := fmt.Sscanf(path.Base(key), "%016x-%016x", &f, &l)
	return base.Seq(f), base.Seq(l), err == nil && n == 2 && f <= l
}

// Writer writes entries of one incarnation.
type Writer struct {
	objects     Objects
	incarnation string
}

// NewWriter returns a writer for an incarnation's log.
func NewWriter(o Objects, incarnation string) *Writer { return &Writer{o, incarnation} }

// EntriesMax bounds the entries of one object, so that a reader knows how far before a seq to look for it.
const EntriesMax = 8192

// Archive stores contiguous entries, EntriesMax of them at most, as one object and returns the pointer to move there.
func (w *Writer) Archive(ctx context.Context, entries []metastore.RawEntry) (*metalogpb.Pointer, error) {
	entries = entries[:min(len(entries), EntriesMax)]
	first, last := entries[0], entries[len(entries)-1]
	value := encodeLog(w.incarnation, entries)
	key := logPrefix(w.incarnation) + logName(first.Seq, last.Seq)
	if err := put(ctx, w.objects, key, value); err != nil {
		return nil, fmt.Errorf("archive entries %d to %d: %w", first.Seq, last.Seq, err)
	}
	hash := metastore.HashOf(last.Value)
	return &metalogpb.Pointer{Seq: uint64(last.Seq), Object: key, Hash: hash[:]}, nil
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

func (r *Reader) readOwn(ctx context.Context, incarnation string, from base.Seq, maxBytes int) ([]metastore.RawEntry, error) {
	var out []metastore.RawEntry
	size := 0
	// Names sort by first seq, and the object that holds `from` begins at most EntriesMax before it.
	after := ""
	if from > EntriesMax {
		after = logPrefix(incarnation) + logName(from-EntriesMax, 0)
	}
	for {
		keys, err := r.objects.List(ctx, logPrefix(incarnation), after, listLimit)
		if err != nil {
			return nil, fmt.Errorf("list the archive: %w", err)
		}
		for _, key := range keys {
			first, last, ok := parseLogName(key)
			if !ok || last < from {
				continue
			}
			if first > from {
				return out, nil
			}
			entries, err := r.object(ctx, incarnation, key)
			if err != nil {
				return nil, err
			}
			for _, e := range entries[from-first:] {
				out = append(out, e)
				size += len(e.Value)
			}
			if from = last + 1; size >= maxBytes {
				return out, nil
			}
		}
		if len(keys) < listLimit {
			return out, nil
		}
		after = keys[len(keys)-1]
	}
}

func (r *Reader) object(ctx context.Context, incarnation, key string) ([]metastore.RawEntry, error) {
	b, err := r.objects.Get(ctx, key, logObjectMax)
	if err != nil {
		return nil, err
	}
	entries, err := decodeLog(incarnation, b)
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", key, err)
	}
	first, last, _ := parseLogName(key)
	if entries[0].Seq != first || entries[len(entries)-1].Seq != last {
		return nil, fmt.Errorf("object %s holds entries %d to %d: %w", key, entries[0].Seq, entries[len(entries)-1].Seq, base.ErrCorrupt)
	}
	return entries, nil
}
