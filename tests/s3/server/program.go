package server

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Program is a store that speaks S3, of a pinned version, which is built out of its Go module.
type Program struct {
	Name    string
	Version string
	pkg     string // Go package of the binary
	// command is what it is started with, to serve the folder dir.
	command func(address, dir string) []string
	env     []string // besides the credentials, which are under the names that the program looks for
}

// MinIO is the last version of its community edition.
var MinIO = Program{
	Name: "minio", Version: "v0.0.0-20260212201848-7aac2a2c5b7c", pkg: "github.com/minio/minio",
	command: func(address, dir string) []string { return []string{"server", "--quiet", "--address", address, dir} },
	env:     []string{"MINIO_ROOT_USER=" + user, "MINIO_ROOT_PASSWORD=" + secret, "MINIO_BROWSER=off", "MINIO_UPDATE=off"},
}

// VersityGW serves a folder of the file system.
var VersityGW = Program{
	Name: "versitygw", Version: "v1.8.0", pkg: "github.com/versity/versitygw/cmd/versitygw",
	command: func(address, dir string) []string {
		return []string{"--port", address, "--region", region, "--keep-alive", "--quiet", "posix", dir}
	},
	env: []string{"ROOT_ACCESS_KEY_ID=" + user, "ROOT_SECRET_ACCESS_KEY=" + secret},
}

// Find returns the program of that name.
func Find(name string) (Program, error) {
	for _, p := range []Program{MinIO, VersityGW} {
		if p.Name == name {
			return p, nil
		}
	}
	return Program{}, fmt.Errorf("there is no store %q: use minio or versitygw", name)
}

// Build returns the program's binary below tools, which it installs if it is not there. It is static: it is also run in a container without
// libraries.
func (p Program) Build(ctx context.Context, tools string) (string, error) {
	tools, err := filepath.Abs(filepath.Join(tools, p.Name+"-static-"+p.Version))
	if err != nil {
		return "", err
	}
	binary := filepath.Join(tools, filepath.Base(p.pkg))
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	fmt.Fprintf(os.Stderr, "%s: building the server, once; this takes some minutes\n", p.Name)
	install := exec.CommandContext(ctx, "go", "install", p.pkg+"@"+p.Version)
	install.Env = append(os.Environ(), "GOBIN="+tools, "GOFLAGS=", "CGO_ENABLED=0")
	install.Stdout, install.Stderr = os.Stderr, os.Stderr
	install.Dir = os.TempDir() // outside of this module
	if err := install.Run(); err != nil {
		return "", fmt.Errorf("go install %s@%s: %w", p.pkg, p.Version, err)
	}
	return binary, nil
}

// Variable names the variable by which tests find a program for servers of their own: its name, a colon, the binary.
const Variable = "GNOMON_TEST_S3_SERVER"

// Setting is the value of Variable.
func (p Program) Setting(binary string) string { return p.Name + ":" + binary }

// FromEnv returns what Variable says; false if it is not set.
func FromEnv() (p Program, binary string, ok bool, err error) {
	name, binary, ok := strings.Cut(os.Getenv(Variable), ":")
	if !ok {
		return Program{}, "", false, nil
	}
	p, err = Find(name)
	return p, binary, true, err
}
