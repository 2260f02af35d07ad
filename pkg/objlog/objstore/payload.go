package objstore

// Size is the number of bytes of the payload.
func (p Payload) Size() int64 {
	var n int64
	for _, b := range p {
		n += int64(len(b))
	}
	return n
}

// Bytes copies the payload into one new slice.
func (p Payload) Bytes() []byte {
	out := make([]byte, 0, p.Size())
	for _, b := range p {
		out = append(out, b...)
	}
	return out
}
