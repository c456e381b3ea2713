package cli

import (
	"errors"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image"
	"github.com/devs/deploy/pkg/image/layer"
	"github.com/devs/deploy/pkg/image/sandbox"
)

// imageOptions reads the flags.
func (t *tool) imageOptions(dir string, o *imageFlags) (*image.Options, error) {
	opts := &image.Options{
		Context: t.path(dir), Target: o.target, NoCache: o.noCache,
		Args: map[string]string{}, Labels: map[string]string{}, Contexts: map[string]string{}, Secrets: map[string]image.Secret{}, SSH: map[string]string{},
	}
	if o.file != "" {
		opts.Dockerfile = t.path(o.file)
	}
	for _, arg := range o.args {
		key, value, ok := strings.Cut(arg, "=")
		if !ok {
			if value, ok = t.getenv(key); !ok {
				continue // as docker has it: a variable that is not set gives no argument
			}
		}
		opts.Args[key] = value
	}
	for _, label := range o.labels {
		key, value, _ := strings.Cut(label, "=")
		opts.Labels[key] = value
	}
	for _, c := range o.contexts {
		key, value, ok := strings.Cut(c, "=")
		if !ok || key == "" {
			return nil, diag.Errorf("--build-context %s names no folder", c).WithHint("write NAME=folder or NAME=docker-image://reference")
		}
		if !strings.Contains(value, "://") {
			value = t.path(value)
		}
		opts.Contexts[key] = value
	}
	_, _, err := sandbox.ParseLevel(o.isolation)
	return opts, errors.Join(err, t.formOptions(opts, o), t.secretOptions(opts, o), t.sshOptions(opts, o))
}

// formOptions reads the flags about the form of the image.
func (t *tool) formOptions(opts *image.Options, o *imageFlags) error {
	format := o.format
	if format == "" && o.output != "" { // a layout is OCI's own
		format = "oci"
	}
	switch format {
	case "", "docker":
	case "oci":
		opts.Format = image.OCI
	default:
		return diag.Errorf("--format %s: no such format", o.format).WithHint("use docker or oci")
	}
	switch o.compression {
	case "gzip":
	case "zstd":
		if opts.Format != image.OCI {
			return diag.Errorf("--compression zstd needs --format oci").WithHint("docker images have gzip; docker before 23.0 reads no zstd at all")
		}
		opts.Compress = layer.Zstd
	case "none":
		opts.Compress = layer.None
	default:
		return diag.Errorf("--compression %s: no such compression", o.compression).WithHint("use gzip, zstd or none")
	}
	if o.platform != "" {
		for _, text := range strings.Split(o.platform, ",") {
			p, err := v1.ParsePlatform(strings.TrimSpace(text))
			if err != nil || p.OS != "linux" || p.Architecture != "amd64" && p.Architecture != "arm64" {
				return diag.Errorf("--platform %s is not possible", text).WithHint("use linux/amd64, linux/arm64, or both")
			}
			opts.Platforms = append(opts.Platforms, *p)
		}
	}
	var err error
	opts.Epoch, err = t.sourceEpoch(opts.Args)
	return err
}

// sourceEpoch reads SOURCE_DATE_EPOCH (reproducible-builds.org), nil when it is not set.
func (t *tool) sourceEpoch(args map[string]string) (*time.Time, error) {
	text, ok := args["SOURCE_DATE_EPOCH"]
	if !ok {
		text = t.env("SOURCE_DATE_EPOCH")
	}
	if text == "" {
		return nil, nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 0 {
		return nil, diag.Errorf("SOURCE_DATE_EPOCH is %q, which is no number of seconds since 1970", text).WithHint("set it to one, or unset it")
	}
	at := time.Unix(seconds, 0).UTC()
	return &at, nil
}

// secretOptions reads --secret. What a secret holds is never shown.
func (t *tool) secretOptions(opts *image.Options, o *imageFlags) error {
	for _, text := range o.secrets {
		fields := commaFields(text)
		for key := range fields { // a value that stands here by mistake is not repeated
			if !slices.Contains([]string{"id", "src", "source", "env", "type"}, key) {
				return diag.Errorf("a --secret says something else than id, src, env and type").WithHint("write id=NAME,src=FILE or id=NAME,env=VARIABLE")
			}
		}
		id := fields["id"]
		variable := fields["env"]
		file := fields["src"]
		if file == "" {
			file = fields["source"]
		}
		if id == "" {
			return diag.Errorf("--secret %s names no id", text).WithHint("write id=NAME,src=FILE or id=NAME,env=VARIABLE")
		}
		if variable == "" && file == "" {
			variable = id // as docker has it: a variable of that name, else a file
			if _, ok := t.getenv(id); !ok {
				variable, file = "", id
			}
		}
		opts.Secrets[id] = func() ([]byte, error) {
			if variable != "" {
				value, ok := t.getenv(variable)
				if !ok {
					return nil, diag.Errorf("the variable %s of the secret %s is not set", variable, id).WithHint("set it, or leave --secret out")
				}
				t.redactor.Add(value)
				return []byte(value), nil
			}
			data, err := readSecret(t.path(file))
			if err != nil {
				return nil, diag.Errorf("reading the secret %s: %v", id, err).WithHint("check src of --secret")
			}
			for _, line := range strings.Split(string(data), "\n") {
				t.redactor.Add(strings.TrimSpace(line))
			}
			return data, nil
		}
	}
	return nil
}

// maxSecret bounds a secret in bytes, as BuildKit does.
const maxSecret = 500 << 10

// readSecret reads the file of a secret, which may be a pipe.
func readSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err == nil && len(data) > maxSecret {
		err = errors.New("it is larger than 500 KiB")
	}
	return data, err
}

// sshOptions reads --ssh.
func (t *tool) sshOptions(opts *image.Options, o *imageFlags) error {
	for _, text := range o.ssh {
		id, socket, ok := strings.Cut(text, "=")
		if !ok {
			socket = t.env("SSH_AUTH_SOCK")
		}
		info, err := os.Stat(socket)
		if err != nil || info.Mode()&os.ModeSocket == 0 {
			return diag.Errorf("--ssh %s leads to no socket of an SSH agent", text).WithHint("start ssh-agent and set SSH_AUTH_SOCK, or write ID=socket")
		}
		opts.SSH[id] = socket
	}
	return nil
}

// commaFields splits key=value,key=value.
func commaFields(text string) map[string]string {
	fields := map[string]string{}
	for _, part := range strings.Split(text, ",") {
		key, value, _ := strings.Cut(part, "=")
		fields[strings.ToLower(strings.TrimSpace(key))] = value
	}
	return fields
}
