package objstore

import "fmt"

// Op names a method of Store: for wrappers, metrics and scripts of faults.
type Op int

// The operations of a Store.
const (
	OpPut Op = iota
	OpGet
	OpGetRange
	OpHead
	OpList
	OpDelete
	// OpCount is the number of operations.
	OpCount
)

var opNames = [OpCount]string{"put", "get", "get_range", "head", "list", "delete"}

// String gives the operation in the form that metrics use: "get_range".
func (o Op) String() string {
	if o < 0 || o >= OpCount {
		return fmt.Sprintf("op(%d)", int(o))
	}
	return opNames[o]
}

// Describe names the store for people, without credentials: "s3://bucket/prefix". Stores say it by a String method.
func Describe(s Store) string {
	if named, ok := s.(fmt.Stringer); ok {
		return named.String()
	}
	return "the bucket"
}
