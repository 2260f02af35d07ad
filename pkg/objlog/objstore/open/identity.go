package open

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/s3"
)

const (
	defaultProfile = "default"
	// customRegion is what stores other than AWS answer to if they have no regions.
	customRegion = "us-east-1"
)

// setIdentity fills in credentials and region where they are not set. The AWS chain is asked only for what is missing.
func setIdentity(ctx context.Context, so *s3.Options, file, profile string) error {
	if file != "" {
		provider := &fileCredentials{path: file, profile: profile}
		if profile == "" {
			provider.profile = defaultProfile
		}
		if _, err := provider.Retrieve(ctx); err != nil {
			return err
		}
		so.Credentials = provider
	}
	if so.Region == "" && so.Endpoint != "" {
		so.Region = customRegion
	}
	if so.Credentials != nil && so.Region != "" {
		return nil
	}

	var settings []func(*config.LoadOptions) error
	if profile != "" {
		settings = append(settings, config.WithSharedConfigProfile(profile))
	}
	cfg, err := config.LoadDefaultConfig(ctx, settings...)
	if err != nil {
		return fmt.Errorf("load the AWS configuration for the bucket: %w", err)
	}
	if so.Region == "" {
		so.Region = cfg.Region
	}
	if so.Region == "" {
		return errors.New("the bucket's region is not known: add ?region= to its URL, or set AWS_REGION")
	}
	if so.Credentials == nil {
		if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
			return fmt.Errorf("there are no credentials for the bucket in the environment, "+
				"and no credentials file is named: %w", err)
		}
		so.Credentials = cfg.Credentials
	}
	return nil
}

// fileCredentials reads a profile of a credentials file, again whenever the file has changed. While the new file cannot
// be read (half written, or between two renames) the last credentials stand.
type fileCredentials struct {
	path, profile string

	mu      sync.Mutex
	current aws.Credentials
	size    int64
	changed time.Time
}

var _ aws.CredentialsProvider = (*fileCredentials)(nil)

// Retrieve implements aws.CredentialsProvider. It is called for each request, and asks the file system for the file's
// size and time.
func (f *fileCredentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	info, statErr := os.Stat(f.path)
	f.mu.Lock()
	current := f.current
	fresh := statErr == nil && current.HasKeys() && info.Size() == f.size && info.ModTime().Equal(f.changed)
	f.mu.Unlock()
	if fresh {
		return current, nil
	}
	read, err := f.read(ctx, statErr)
	if err != nil {
		if current.HasKeys() {
			return current, nil
		}
		return aws.Credentials{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.current, f.size, f.changed = read, info.Size(), info.ModTime()
	return read, nil
}

// read reads the file. What the parser says is not passed on, as it may quote the file.
func (f *fileCredentials) read(ctx context.Context, statErr error) (aws.Credentials, error) {
	var pathErr *fs.PathError
	if errors.As(statErr, &pathErr) {
		return aws.Credentials{}, fmt.Errorf("read the credentials file %s: %w", f.path, pathErr.Err)
	}
	shared, err := config.LoadSharedConfigProfile(ctx, f.profile, func(o *config.LoadSharedConfigOptions) {
		o.CredentialsFiles, o.ConfigFiles = []string{f.path}, []string{}
	})
	if err != nil || !shared.Credentials.HasKeys() {
		return aws.Credentials{}, fmt.Errorf("the credentials file %s has no readable keys under the profile %s",
			f.path, f.profile)
	}
	shared.Credentials.CanExpire = false
	return shared.Credentials, nil
}
