package engine

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/state"
)

// maxVersions is how many published versions are looked at, the newest first.
const maxVersions = 50

// versionList returns the versions that the cloud keeps.
func (w *rewinder) versionList(ctx context.Context) ([]string, error) {
	if w.cloud == nil || w.listed {
		return w.list, nil
	}
	list, err := w.cloud.Versions(ctx, w.s.call)
	if err != nil {
		return nil, w.explain(fmt.Errorf("listing versions: %w", err), &resource.Resource{Pos: w.s.svc.Pos})
	}
	w.list, w.listed = list[:min(len(list), maxVersions)], true
	return w.list, nil
}

// version returns a resource as it is in a version, nil when it is not in it.
func (w *rewinder) inVersion(ctx context.Context, version string, r *resource.Resource) (*resource.Found, error) {
	if found, ok := w.at[version][r.ID]; ok {
		return found, nil
	}
	if w.cloud == nil {
		return nil, nil
	}
	found, err := w.cloud.At(ctx, w.s.call, version, r.ID)
	if err != nil {
		return nil, w.explain(fmt.Errorf("reading version %s: %w", version, err), r)
	}
	if w.at[version] == nil {
		w.at[version] = map[resource.ID]*resource.Found{}
	}
	w.at[version][r.ID] = found
	return found, nil
}

// eachVersion calls use with the resource in one version after the other, the newest
// first, until it reports that it has what it needs.
func (w *rewinder) eachVersion(ctx context.Context, r *resource.Resource, use func(version string, at *resource.Found) bool) error {
	list, err := w.versionList(ctx)
	if err != nil {
		return err
	}
	for _, version := range list {
		at, err := w.inVersion(ctx, version, r)
		if err != nil {
			return err
		}
		if at != nil && use(version, at) {
			return nil
		}
	}
	return nil
}

// newest returns the newest version in which anything differs from what is online.
func (w *rewinder) newest(ctx context.Context) (string, error) {
	list, err := w.versionList(ctx)
	if err != nil {
		return "", err
	}
	for _, version := range list {
		for _, r := range w.s.desired.Resources {
			at, err := w.inVersion(ctx, version, r)
			if err != nil {
				return "", err
			}
			w.mu.Lock()
			found := w.found[w.s.key(r.ID)]
			w.mu.Unlock()
			if at != nil && (found == nil || len(w.schema(r).Differing(at.Attrs, found.Attrs)) > 0) {
				return version, nil
			}
		}
	}
	return "", diag.At(w.s.svc.Pos, "what %s was before is not known: the record here has fingerprints alone, and no published version differs from what is online", w.s.name()).
		WithCode(diag.ExitComponent).
		WithHint("keep whole records with state: in the application file; to go back now, check out the earlier files and deploy them")
}

func (w *rewinder) schema(r *resource.Resource) resource.Schema { return w.s.types[r.Kind].Schema }

// ofVersion returns the resource as it is in the version that the rollback goes to.
func (w *rewinder) ofVersion(ctx context.Context, r *resource.Resource, found *resource.Found) (*resource.Resource, error) {
	list, err := w.versionList(ctx)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(list, w.version) {
		return nil, impossible(r, "there is no version %s", w.version).WithHint("%s", diag.DidYouMean(w.version, list))
	}
	at, err := w.inVersion(ctx, w.version, r)
	if err != nil {
		return nil, err
	}
	if at == nil {
		return w.stay(r, found, "version "+w.version+" does not have it"), nil
	}
	want := *r
	want.Attrs = w.schema(r).Canonical(at.Attrs)
	w.s.notes[r.ID] = "as in version " + w.version
	return w.complete(ctx, &want, found, nil)
}

// before returns the resource as the record says that it was.
func (w *rewinder) before(ctx context.Context, r *resource.Resource, found *resource.Found, p state.Entry) (*resource.Resource, error) {
	want := *r
	var err error
	if p.Attrs != nil {
		want.Attrs, err = w.unsealed(ctx, r, found, p)
	} else {
		want.Attrs, err = w.matching(ctx, r, found, p)
	}
	if err != nil {
		return nil, err
	}
	return w.complete(ctx, &want, found, p.Files)
}

// unsealed returns the attributes of an entry with its secrets, which are those that are
// online or in a published version.
func (w *rewinder) unsealed(ctx context.Context, r *resource.Resource, found *resource.Found, p state.Entry) (resource.Attributes, error) {
	var known []resource.Attributes
	if found != nil {
		known = append(known, found.Attrs)
	}
	key := w.ledger(w.s).book().Key
	attrs, missing := key.Restore(w.schema(r), p.Attrs, known...)
	if len(missing) == 0 {
		return attrs, nil
	}
	if err := w.eachVersion(ctx, r, func(_ string, at *resource.Found) bool {
		known = append(known, at.Attrs)
		attrs, missing = key.Restore(w.schema(r), p.Attrs, known...)
		return len(missing) == 0
	}); err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		return nil, impossible(r, "%s had another value, which is secret and therefore in no record, and no published version has it", strings.Join(missing, ", "))
	}
	return attrs, nil
}

// matching returns the attributes of an entry of which the record has a fingerprint
// alone: those of the published version, or of what is online, that have it.
func (w *rewinder) matching(ctx context.Context, r *resource.Resource, found *resource.Found, p state.Entry) (resource.Attributes, error) {
	key, codeDone := w.ledger(w.s).book().Key, false
	var attrs resource.Attributes
	var code any
	use := func(at *resource.Found) bool {
		config, sameCode := key.Matches(w.schema(r), at.Attrs, p.Prints)
		if config && attrs == nil {
			attrs = w.schema(r).Canonical(at.Attrs)
		}
		if sameCode && !codeDone {
			code, codeDone = at.Attrs[codeField], true
		}
		return attrs != nil && codeDone
	}
	// A state in which all is as by default has no attributes to be recorded.
	if !use(&resource.Found{Attrs: resource.Attributes{}}) && (found == nil || !use(found)) {
		if err := w.eachVersion(ctx, r, func(_ string, at *resource.Found) bool { return use(at) }); err != nil {
			return nil, err
		}
	}
	if attrs == nil || !codeDone {
		return nil, impossible(r, "the record has a fingerprint alone of what it was, and no published version has that")
	}
	attrs = maps.Clone(attrs)
	delete(attrs, codeField)
	if code != nil {
		attrs[codeField] = code
	}
	return attrs, nil
}

// complete checks that the way to what is wanted can be gone, and finds its code.
func (w *rewinder) complete(ctx context.Context, want *resource.Resource, found *resource.Found, files []resource.CodeFile) (*resource.Resource, error) {
	if field := w.hidden(want, found); field != "" {
		return nil, impossible(want, "%s holds a secret that the cloud does not show, and that is in no record", field)
	}
	sum, online := sumOf(want.Attrs), ""
	if found != nil {
		online = sumOf(found.Attrs)
		w.remark(want, found)
	}
	if sum == online || sum == "" {
		return want, nil
	}
	code, err := w.code(ctx, want, sum)
	if err != nil {
		return nil, err
	}
	if want.Code = code; files != nil {
		want.Code = listed{code, files}
	}
	return want, nil
}

// hidden returns the top-level attribute that would change and of which the cloud does
// not return all; "" for none.
func (w *rewinder) hidden(want *resource.Resource, found *resource.Found) string {
	schema := w.schema(want)
	var online resource.Attributes
	if found != nil {
		online = found.Attrs
	}
	for _, d := range schema.Compare(online, want.Attrs, nil) {
		for path, rule := range schema {
			if rule.Secret && rule.Ignore && strings.HasPrefix(path, d.Field+".") && want.Attrs[d.Field] != nil {
				return d.Field
			}
		}
	}
	return ""
}

// remark tells what differs from what was before, and cannot be taken back.
func (w *rewinder) remark(want *resource.Resource, found *resource.Found) {
	schema := w.schema(want)
	changed := schema.Compare(found.Attrs, want.Attrs, nil)
	var left []string
	for _, path := range schema.Differing(found.Attrs, want.Attrs) {
		if !slices.ContainsFunc(changed, func(d resource.Difference) bool { return d.Path == path }) {
			left = append(left, path)
		}
	}
	if len(left) > 0 {
		w.s.notes[want.ID] = strings.TrimPrefix(w.s.notes[want.ID]+"; "+strings.Join(left, ", ")+" cannot be taken back and stays", "; ")
	}
}

// code returns the package with a checksum: that of a published version, or one that was
// kept.
func (w *rewinder) code(ctx context.Context, want *resource.Resource, sum string) (resource.Payload, error) {
	in := ""
	if err := w.eachVersion(ctx, want, func(version string, at *resource.Found) bool {
		if sumOf(at.Attrs) == sum {
			in = version
		}
		return in != ""
	}); err != nil {
		return nil, err
	}
	if in == "" {
		return w.keptCode(ctx, want, sum)
	}
	p, err := w.cloud.Code(ctx, w.s.call, in, want.ID)
	if err != nil {
		return nil, w.explain(fmt.Errorf("fetching the code of %s: %w", want.ID, err), want)
	}
	w.packages = append(w.packages, p)
	if p.Checksum() != sum {
		return nil, impossible(want, "the code of version %s has the checksum %s now, not %s", in, p.Checksum(), sum)
	}
	return p, nil
}

// keptCode returns a package that a deploy with --keep-code kept.
func (w *rewinder) keptCode(ctx context.Context, want *resource.Resource, sum string) (resource.Payload, error) {
	none := impossible(want, "its code with the checksum %s is in no published version and was not kept", sum).
		WithHint("nothing was changed; check out the earlier files and deploy them. Deploys with --%s keep the code for the next time", flagKeepCode)
	codes, ok := w.Records.Store.(state.Codes)
	if !ok || w.cloud == nil {
		return nil, none
	}
	p, err := codes.KeptCode(ctx, sum)
	if err != nil {
		return nil, w.explain(err, want)
	}
	if p == nil {
		return nil, none
	}
	in, err := p.Open()
	if err != nil {
		return nil, w.explain(fmt.Errorf("reading kept code: %w", err), want)
	}
	defer in.Close()
	counted := &counter{r: in}
	got, err := w.cloud.Sum(counted)
	if err != nil {
		return nil, w.explain(fmt.Errorf("reading kept code: %w", err), want)
	}
	if got != sum || counted.n != p.Size() {
		return nil, impossible(want, "its kept code is damaged: it has the checksum %s, not %s", got, sum)
	}
	return p, nil
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// sumOf returns the checksum that a state tells of its code, "" for none.
func sumOf(attrs resource.Attributes) string {
	code, _ := attrs[codeField].(map[string]any)
	sum, _ := code["checksum"].(string)
	return sum
}

// listed is a package whose files the record knows.
type listed struct {
	resource.Payload
	files []resource.CodeFile
}

// Files lists them.
func (l listed) Files() []resource.CodeFile { return l.files }
