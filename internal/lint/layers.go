package lint

import "strings"

// layer is a group of packages that the import rules treat alike.
type layer string

const (
	wiring     layer = "wiring"     // decides which backend is behind an interface
	tests      layer = "tests"      // end-to-end tests and their support
	cli        layer = "cli"        // the operator's commands
	agent      layer = "agent"      // adapts objlog and the view to kafkaapi's interfaces
	kafka      layer = "kafkaapi"   // knows no storage
	control    layer = "control"    // the coordinator
	shadow     layer = "shadow"     // links
	recovery   layer = "recovery"   // of a lost metalog; checks of index and objects
	objlog     layer = "objlog"     // segments, appender, fetcher
	objstore   layer = "objstore"   // the store contract and its backends
	metastore  layer = "metastore"  // the metalog and the state
	leaf       layer = "leaf"       // vocabulary, formats, generated messages: free for all
	everything layer = "everything" // in a list of imports: no limit
)

// layerOf maps a folder, with all below it, to its layer. The longest match counts.
var layerOf = map[string]layer{
	"cmd":             wiring,
	"internal/region": wiring,
	"internal/dev":    wiring,
	"internal/demo":   wiring,
	"internal/daemon": wiring,
	"internal/cli":    cli,
	"internal":        leaf,
	"tests":           tests,

	"pkg/agent":       agent,
	"pkg/kafkaapi":    kafka,
	"pkg/coordinator": control,
	"pkg/shadow":      shadow,
	"pkg/recovery":    recovery,
	"pkg/objlog":      objlog,
	"pkg/metastore":   metastore,
	"pkg/adminpb":     leaf,

	"pkg/coordinatorpb": leaf,

	"pkg/kafkaapi/batch":      leaf,
	"pkg/objlog/objstore":     objstore,
	"pkg/metastore/metalogpb": leaf,
}

// mayImport lists what a layer may import besides itself and leaf. The arrows point down.
var mayImport = map[layer][]layer{
	wiring:    {everything},
	tests:     {everything},
	cli:       {everything},
	agent:     {kafka, objlog, objstore, metastore},
	kafka:     {},
	control:   {objlog, objstore, metastore},
	shadow:    {objlog, objstore, metastore},
	recovery:  {objlog, objstore, metastore},
	objlog:    {objstore, metastore},
	objstore:  {},
	metastore: {},
	leaf:      {},
}

// backends are the packages that only wiring, tests and themselves may name.
var backends = []string{
	"pkg/metastore/etcd",
	"pkg/metastore/embedetcd",
	"pkg/metastore/memory",
	"pkg/objlog/objstore/bucket",
	"pkg/objlog/objstore/directory",
	"pkg/objlog/objstore/memory",
	"pkg/objlog/objstore/open",
	"pkg/objlog/objstore/s3",
}

// suites are acceptance suites: they import testing and belong into test files only.
var suites = []string{"pkg/metastore/metastoretest", "pkg/objlog/objstore/storetest"}

// libraries maps a client library, with all below it, to the folders that may import it.
var libraries = map[string][]string{
	"go.etcd.io":                        {"pkg/metastore/etcd", "pkg/metastore/embedetcd", "tests/harness"},
	"go.opentelemetry.io":               {"internal/trace", "tests"},
	"github.com/aws":                    {"pkg/objlog/objstore/s3", "pkg/objlog/objstore/open", "pkg/objlog/objstore/bucket"},
	"github.com/klauspost/compress":     {"pkg/kafkaapi/batch/records", "pkg/metastore"},
	"github.com/minio/minio-go":         {"pkg/objlog/objstore/bucket", "tests"},
	"github.com/pierrec/lz4":            {"pkg/kafkaapi/batch/records"},
	"github.com/spf13/cobra":            {"cmd", "internal/cli"},
	"github.com/twmb/franz-go/pkg/kadm": {"internal/cli", "internal/demo", "internal/witness", "cmd", "tests"},
	"github.com/twmb/franz-go/pkg/kgo":  {"internal/cli", "internal/demo", "internal/witness", "cmd", "tests"},
	"github.com/twmb/franz-go/pkg/kmsg": {"pkg/kafkaapi", "pkg/coordinator", "pkg/agent", "internal", "cmd", "tests"},
}

// purePackages compute state from the metalog; impure is what they must not import.
var (
	purePackages = []string{"internal/base", "internal/namefilter", "pkg/metastore/state"}
	impure       = []string{"context", "crypto/rand", "io/fs", "log", "log/slog", "math/rand", "math/rand/v2", "net", "net/http", "os", "time"}
)

// under tells whether dir is one of the folders or below one.
func under(dir string, folders ...string) bool {
	for _, f := range folders {
		if dir == f || strings.HasPrefix(dir, f+"/") {
			return true
		}
	}
	return false
}

// findLayer returns the layer of a folder of the module; false when the table has no place for it.
func findLayer(dir string) (layer, bool) {
	best, found := "", layer("")
	for folder, l := range layerOf {
		if under(dir, folder) && len(folder) > len(best) {
			best, found = folder, l
		}
	}
	return found, best != ""
}
