package fc

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/archive"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/fc/props"
	"github.com/devs/deploy/pkg/resource"
)

// Desired turns the props into resources and packs the code.
func (c *Component) Desired(ctx context.Context, call *component.Call) (*component.Desired, error) {
	if err := refuse(call); err != nil {
		return nil, err
	}
	if err := checkNamed(call); err != nil {
		return nil, err
	}
	s := c.open(call)
	config, err := s.parse()
	if err != nil {
		return nil, err
	}
	if call.Args.Sub == "trigger" && config.Function == nil {
		return nil, missing("function")
	}
	cred, err := s.credential()
	if err != nil {
		return nil, err
	}
	pack := &packer{ctx: ctx, session: s}
	resources, warnings, err := config.Resources(props.Options{
		Command:      propsCommand(call.Command),
		Sub:          call.Args.Sub,
		Type:         call.Args.String("type"),
		TriggerNames: call.Args.Strings("trigger-name"),
		DomainNames:  lower(call.Args.Strings("domain-name")),
		Account:      cred.AccountID,
		Dir:          call.Dir,
		AutoDomain:   call.AutoDomain,
		Preview:      call.Preview,
		Pack:         pack.pack,
		ReadFile:     s.cfg.ReadFile,
	})
	if err != nil {
		return nil, errors.Join(err, pack.close())
	}
	if !namesOnly(call.Command) {
		if err := s.pinImage(ctx, config, resources); err != nil {
			return nil, errors.Join(err, pack.close())
		}
	}
	holder, notes, err := s.holder(config)
	if err != nil {
		return nil, errors.Join(err, pack.close())
	}
	yields := outputs{config: config, service: call.Service, names: namesOnly(call.Command), account: cred.AccountID, endpoint: cred.Endpoint}
	return &component.Desired{
		Region:    config.Region,
		Account:   cred.AccountID,
		Resources: resources,
		Warnings:  append(warnings, pack.warnings...),
		Outputs:   func(found map[resource.ID]*resource.Found) *app.Value { return yields.of(resources, found) },
		Expected:  yields.expected(resources),
		Holder:    holder,
		Notes:     notes,
		Close:     pack.close,
	}, nil
}

// parse reads the props; of a removal or a rollback, their names alone.
func (s *session) parse() (*props.Config, error) {
	if !namesOnly(s.call.Command) {
		return props.Parse(s.props)
	}
	return props.ParseNames(s.props)
}

// propsCommand returns the command as package props knows it, which tells removals from
// all others.
func propsCommand(command string) string {
	if namesOnly(command) {
		return "remove"
	}
	return command
}

// refuse tells of what the command line knows and devs does not do.
func refuse(call *component.Call) error {
	if slices.Contains(notYet(), call.Args.Sub) {
		return diag.Errorf("%s %s is not supported yet", call.Command, call.Args.Sub).WithCode(diag.ExitComponent).
			WithHint("remove service --all deletes versions, aliases, provisioned instances and instance limits together with the service")
	}
	return nil
}

// packer packs code and keeps the packages until they are sent.
type packer struct {
	ctx      context.Context
	session  *session
	packages []*archive.Package
	warnings []*diag.Problem
}

func (p *packer) pack(code props.Code) (resource.Payload, error) {
	if p.session.call.CodeLater {
		return nil, fs.ErrNotExist
	}
	packed, err := archive.Pack(p.ctx, archive.Options{
		Path:        code.Path,
		ZipJar:      code.ZipJar,
		Ignore:      archive.FunctionIgnores(code.Runtime),
		TemplateDir: p.session.call.Dir,
		TempDir:     p.session.cfg.TempDir,
	})
	if err != nil {
		return nil, err
	}
	p.packages = append(p.packages, packed)
	if !packed.Inline() {
		return nil, tooLarge(code.Pos, "function "+code.Service+"/"+code.Function, packed.Size)
	}
	p.warnings = append(p.warnings, packed.Warnings...)
	return payload{packed}, nil
}

func (p *packer) close() error {
	var errs []error
	for _, packed := range p.packages {
		errs = append(errs, packed.Close())
	}
	return errors.Join(errs...)
}

// payload is a package as the engine and the handlers see it.
type payload struct{ *archive.Package }

// Files lists the members of the package, those of a folder and of a package that was
// built by others alike, without their contents.
func (p payload) Files() []resource.CodeFile {
	files := make([]resource.CodeFile, len(p.Entries))
	for i, e := range p.Entries {
		// Names need not be UTF-8, sizes in the directory of a zip need not be true.
		files[i] = resource.CodeFile{Path: strings.ToValidUTF8(e.Path, "\uFFFD"), Size: max(e.Size, 0), CRC32: e.CRC32}
	}
	slices.SortStableFunc(files, func(a, b resource.CodeFile) int { return strings.Compare(a.Path, b.Path) })
	return files
}

// Size returns the number of bytes.
func (p payload) Size() int64 { return p.Package.Size }

// Checksum returns the CRC-64 that the API shows.
func (p payload) Checksum() string { return p.CRC64 }
