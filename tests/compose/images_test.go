package compose

import (
	"archive/tar"
	"context"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gnomon-stream/gnomon/tests/s3/server"
)

// Names of the images that stand in for those that would be pulled.
const (
	goImage    = "stand-in-go"
	minioImage = "stand-in-minio"
)

// importMinIO makes an image of the server's static binary.
func (e *engine) importMinIO(tools string) {
	e.t.Helper()
	binary, err := server.MinIO.Build(context.Background(), tools)
	if err != nil {
		e.t.Fatal(err)
	}
	e.load(minioImage, []string{`ENTRYPOINT ["/usr/bin/minio"]`}, func(w *tarball) {
		w.file(binary, "usr/bin/minio", 0o755)
		w.folder("tmp")
	})
}

// importGo makes an image in which deploy/Dockerfile can build: Go, the modules that go.mod names, certificates, a shell.
func (e *engine) importGo() {
	e.t.Helper()
	modules := e.modules()
	root := strings.TrimSpace(e.must(nil, "go", "env", "GOROOT"))
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		e.t.Fatalf("busybox is not on this machine: apt-get install busybox-static: %v", err)
	}
	changes := []string{
		"ENV PATH=/usr/local/go/bin:/bin", "ENV GOTOOLCHAIN=local", "ENV GOPROXY=off", "ENV GOSUMDB=off", "ENV GOMODCACHE=/go/pkg/mod", "ENV GOCACHE=/tmp/cache", "ENV HOME=/tmp",
	}
	e.load(goImage, changes, func(w *tarball) {
		w.folder("tmp")
		w.file(busybox, "bin/busybox", 0o755)
		for _, name := range []string{"sh", "mkdir", "cp"} {
			w.link("/bin/busybox", "bin/"+name)
		}
		w.file("/etc/ssl/certs/ca-certificates.crt", "etc/ssl/certs/ca-certificates.crt", 0o644)
		for _, part := range []string{"bin", "src", "pkg", "lib", "go.env", "VERSION"} {
			w.tree(filepath.Join(root, part), "usr/local/go/"+part)
		}
		w.tree(modules, "go/pkg/mod")
	})
}

// modules is a module cache that holds what this module needs, and nothing else.
func (e *engine) modules() string {
	dir := filepath.Join(e.t.TempDir(), "modules")
	proxy := "file://" + strings.TrimSpace(e.must(nil, "go", "env", "GOMODCACHE")) + "/cache/download"
	e.must([]string{"GOMODCACHE=" + dir, "GOPROXY=" + proxy, "GOSUMDB=off", "GOFLAGS=-modcacherw"}, "go", "mod", "download")
	return dir
}

func (e *engine) must(env []string, args ...string) string {
	e.t.Helper()
	out, err := e.try(commandTimeout, env, args...)
	if err != nil {
		e.t.Fatal(err)
	}
	return out
}

// load makes an image from scratch of what fill writes.
func (e *engine) load(name string, changes []string, fill func(*tarball)) {
	e.t.Helper()
	args := []string{"import"}
	for _, c := range changes {
		args = append(args, "--change", c)
	}
	c := exec.Command("docker", append(args, "-", name)...)
	c.Env = append(os.Environ(), e.env()...)
	in, err := c.StdinPipe()
	if err != nil {
		e.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		e.t.Fatal(err)
	}
	w := &tarball{t: e.t, w: tar.NewWriter(in)}
	fill(w)
	if err := w.w.Close(); err != nil {
		e.t.Fatal(err)
	}
	if err := in.Close(); err != nil {
		e.t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		e.t.Fatalf("docker import %s: %v", name, err)
	}
}

// tarball is the file system of an image.
type tarball struct {
	t *testing.T
	w *tar.Writer
}

func (w *tarball) header(h *tar.Header) {
	w.t.Helper()
	if err := w.w.WriteHeader(h); err != nil {
		w.t.Fatal(err)
	}
}

func (w *tarball) folder(name string) {
	w.header(&tar.Header{Name: name + "/", Typeflag: tar.TypeDir, Mode: 0o777})
}

func (w *tarball) link(to, name string) {
	w.header(&tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: to, Mode: 0o777})
}

func (w *tarball) file(from, name string, mode int64) {
	w.t.Helper()
	f, err := os.Open(from)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		w.t.Fatal(err)
	}
	w.header(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: mode, Size: info.Size()})
	if _, err := io.Copy(w.w, f); err != nil {
		w.t.Fatal(err)
	}
}

// tree adds a file, or a folder with all below it.
func (w *tarball) tree(from, name string) {
	w.t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.Type().IsRegular() {
			w.file(path, filepath.Join(name, rel), 0o755)
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}
