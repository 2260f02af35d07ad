package kafkaapi

import (
	"encoding/binary"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// fill sets every exported field of a request to something, so that each field of each version is on the wire.
func fill(v reflect.Value, r *rand.Rand, depth int) {
	switch v.Kind() {
	case reflect.Pointer:
		if r.IntN(3) == 0 {
			v.SetZero()
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), r, depth)
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() && v.Type().Field(i).Name != "Version" {
				fill(f, r, depth)
			}
		}
	case reflect.Slice:
		n := r.IntN(3)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(v.Index(i), r, depth+1)
		}
	case reflect.Array:
		for i := range v.Len() {
			v.Index(i).SetUint(uint64(r.IntN(256)))
		}
	case reflect.String:
		v.SetString([]string{"", "a", "topic-name"}[r.IntN(3)])
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(int8(r.IntN(256))))
	}
}

// Each shape passes over what the encoder writes, in all versions, down to the last byte and not beyond it.
func TestShapesMatchTheEncoder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, a := range apis() {
		for version := a.min; version <= a.max; version++ {
			for range 50 {
				req := a.new()
				fill(reflect.ValueOf(req).Elem(), r, 0)
				req.SetVersion(version)
				body := req.AppendTo(nil)
				w := walker{b: body, version: version, flexible: req.IsFlexible(), elements: 1000}
				a.shape(&w)
				w.tags()
				if w.why != "" || len(w.b) != 0 {
					t.Fatalf("%s version %d: %q, %d of %d bytes left\n%+v", a.name, version, w.why, len(w.b), len(body), req)
				}
				for cut := range body {
					if checkShape(a.shape, body[:cut:cut], version, req.IsFlexible(), 1000) == nil {
						t.Fatalf("%s version %d: passed with %d of %d bytes", a.name, version, cut, len(body))
					}
				}
			}
		}
	}
}

// K3: a count that nothing stands behind is refused before anything is allocated for it.
func TestShapeRefusesLyingCounts(t *testing.T) {
	lie := make([]byte, 64)
	binary.BigEndian.PutUint32(lie, 50)
	if err := checkShape(shapeMetadata, lie[:10], 1, false, 1000); err == nil {
		t.Error("50 topics in 10 bytes")
	}
	tags := append([]byte{1, 1, 1}, 0xff, 0xff, 0xff, 0xff, 0x0f) // 2^32-1 tagged fields
	if err := checkShape(shapeMetadata, tags, 9, true, 1000); err == nil {
		t.Error("4 billion tagged fields")
	}
	many := append(binary.BigEndian.AppendUint32(nil, 1000), make([]byte, 2000)...)
	if err := checkShape(func(w *walker) { w.strs() }, many, 0, false, 999); err == nil {
		t.Error("more elements than allowed")
	}
	if err := checkShape(func(w *walker) { w.int32s() }, binary.BigEndian.AppendUint32(nil, 1<<30), 0, false, 999); err == nil {
		t.Error("a billion numbers in no bytes")
	}
}

// What passes its shape decodes, soon, and without a panic; what the encoder makes of it passes again.
func FuzzRequest(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	table := apis()
	for i, a := range table {
		for version := a.min; version <= a.max; version++ {
			req := a.new()
			fill(reflect.ValueOf(req).Elem(), r, 0)
			req.SetVersion(version)
			f.Add(uint8(i), version, req.AppendTo(nil))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, version int16, body []byte) {
		a := table[int(which)%len(table)]
		if version < a.min || version > a.max {
			return
		}
		req := a.new()
		req.SetVersion(version)
		if checkShape(a.shape, body, version, req.IsFlexible(), 10_000) != nil {
			return
		}
		begin := time.Now()
		if err := req.ReadFrom(body); err != nil {
			return // null where the decoder wants none
		}
		if took := time.Since(begin); took > 2*time.Second {
			t.Fatalf("decoding took %v", took)
		}
		again := a.new()
		again.SetVersion(version)
		b := req.AppendTo(nil)
		if err := checkShape(a.shape, b, version, req.IsFlexible(), 10_000); err != nil {
			t.Fatalf("%s version %d: what was decoded does not pass: %v", a.name, version, err)
		}
		if err := again.ReadFrom(b); err != nil {
			t.Fatalf("%s version %d: what was decoded and encoded does not decode: %v", a.name, version, err)
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add(encodeRequest(kmsg.NewPtrMetadataRequest(), 1)[4:], true)
	f.Fuzz(func(t *testing.T, b []byte, flexible bool) {
		h, body, err := parseHeader(b, flexible, 100)
		if err == nil && len(h.clientID)+len(body)+requestHeaderMin > len(b) {
			t.Fatalf("%d bytes of client id and %d of body in %d", len(h.clientID), len(body), len(b))
		}
		_ = zoneOf(h.clientID)
	})
}

func TestZoneOf(t *testing.T) {
	for id, want := range map[string]string{
		"zone=a": "a", "app,ws_az=us-1b": "us-1b", "x|zone=a": "", "diskless_az=c|y": "c", "app automq_az=d": "d", "myzone=a": "", "": "",
	} {
		if got := zoneOf(id); got != want {
			t.Errorf("%q: %q, want %q", id, got, want)
		}
	}
}
