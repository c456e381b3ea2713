package emulator

import (
	"crypto/tls"
	"errors"
	"net"
	"regexp"
	"slices"
	"strings"
)

// domainSpec is what users set on a custom domain.
type domainSpec struct {
	DomainName  string       `json:"domainName"`
	Protocol    string       `json:"protocol"`
	RouteConfig *routeConfig `json:"routeConfig"`
	CertConfig  *certConfig  `json:"certConfig"`
	TLSConfig   *tlsConfig   `json:"tlsConfig"`
	WAFConfig   *wafConfig   `json:"wafConfig"`
}

type routeConfig struct {
	Routes []pathConfig `json:"routes"`
}

type pathConfig struct {
	Path          string         `json:"path"`
	ServiceName   string         `json:"serviceName"`
	FunctionName  string         `json:"functionName"`
	Qualifier     string         `json:"qualifier"`
	Methods       []string       `json:"methods"`
	RewriteConfig *rewriteConfig `json:"rewriteConfig,omitempty"`
}

type rewriteConfig struct {
	EqualRules    []rewriteRule `json:"equalRules"`
	WildcardRules []rewriteRule `json:"wildcardRules"`
	RegexRules    []rewriteRule `json:"regexRules"`
}

type rewriteRule struct {
	Match       string `json:"match"`
	Replacement string `json:"replacement"`
}

type certConfig struct {
	CertName    string `json:"certName"`
	Certificate string `json:"certificate"`
	PrivateKey  string `json:"privateKey,omitempty"` // never shown
}

type tlsConfig struct {
	MinVersion   string   `json:"minVersion"`
	MaxVersion   string   `json:"maxVersion"`
	CipherSuites []string `json:"cipherSuites"`
}

type wafConfig struct {
	EnableWAF bool `json:"enableWAF"`
}

// domainDoc is a custom domain: one state file.
type domainDoc struct {
	Rev    int64 `json:"rev"`
	Domain struct {
		stamps
		Spec domainSpec `json:"spec"`
	} `json:"domain"`
}

// check tells the document's key, and whether the document can be one.
func (d *domainDoc) check() (string, error) {
	if d.Domain.Spec.DomainName == "" || d.Domain.ID == "" || d.Domain.Spec.RouteConfig == nil {
		return "", errors.New("it describes no custom domain")
	}
	return d.Domain.Spec.DomainName, nil
}

// domainView is a custom domain as the API shows it.
type domainView struct {
	domainSpec
	AccountID        string `json:"accountId"`
	APIVersion       string `json:"apiVersion"`
	CreatedTime      string `json:"createdTime"`
	LastModifiedTime string `json:"lastModifiedTime"`
}

func (c *region) domainView(d *domainDoc) domainView {
	v := domainView{
		domainSpec: d.Domain.Spec, AccountID: c.accountID, APIVersion: edition2021,
		CreatedTime: d.Domain.Created, LastModifiedTime: d.Domain.Modified,
	}
	if v.CertConfig != nil {
		shown := *v.CertConfig
		shown.PrivateKey = ""
		v.CertConfig = &shown
	}
	return v
}

func (c *region) domainReply(d *domainDoc) *reply {
	return &reply{body: c.domainView(d), etag: d.Domain.etag()}
}

func (c *region) createDomain(q *call) (*reply, error) {
	var spec domainSpec
	if err := q.decode(&spec); err != nil {
		return nil, err
	}
	spec.DomainName = strings.ToLower(spec.DomainName)
	if err := spec.validate(); err != nil {
		return nil, err
	}
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.domains[spec.DomainName] != nil {
		return nil, alreadyExists("DomainName", "domain name '%s' already exists", spec.DomainName)
	}
	if err := s.checkRoutes(spec.RouteConfig); err != nil {
		return nil, err
	}
	doc := &domainDoc{Rev: 1}
	doc.Domain.stamps = newStamps(c.stamp(), 1)
	doc.Domain.Spec = spec
	if err := put(s, dirDomains, s.domains, spec.DomainName, doc); err != nil {
		return nil, err
	}
	return c.domainReply(doc), nil
}

func (c *region) listDomains(q *call) (*reply, error) {
	c.store.mu.RLock()
	docs := sortedValues(c.store.domains)
	c.store.mu.RUnlock()
	docs, next, err := page(q, docs, func(d *domainDoc) string { return d.Domain.Spec.DomainName })
	if err != nil {
		return nil, err
	}
	views := []domainView{}
	for _, d := range docs {
		views = append(views, c.domainView(d))
	}
	return &reply{body: struct {
		CustomDomains []domainView `json:"customDomains"`
		NextToken     string       `json:"nextToken,omitempty"`
	}{views, next}}, nil
}

func domainNotFound(name string) error {
	return notFound("DomainName", "domain name '%.253s' does not exist", name)
}

func (c *region) getDomain(q *call) (*reply, error) {
	d := c.store.domain(strings.ToLower(q.params["d"]))
	if d == nil {
		return nil, domainNotFound(q.params["d"])
	}
	return c.domainReply(d), nil
}

// unmoved returns the domain that the request may change: it is there, and is what
// the request's If-Match says. The caller holds the lock.
func (s *store) unmoved(q *call, name string) (*domainDoc, error) {
	doc := s.domains[name]
	if doc == nil {
		return nil, domainNotFound(name)
	}
	return doc, q.ifMatch(doc.Domain.etag())
}

// updateDomain replaces what the request names; routes are replaced, not merged.
func (c *region) updateDomain(q *call) (*reply, error) {
	s, name := c.store, strings.ToLower(q.params["d"])
	s.mu.Lock()
	defer s.mu.Unlock()
	old, err := s.unmoved(q, name)
	if err != nil {
		return nil, err
	}
	doc, err := clone(old)
	if err != nil {
		return nil, err
	}
	if err := q.decode(&doc.Domain.Spec); err != nil {
		return nil, err
	}
	doc.Domain.Spec.DomainName = name
	if err := doc.Domain.Spec.validate(); err != nil {
		return nil, err
	}
	if err := s.checkRoutes(doc.Domain.Spec.RouteConfig); err != nil {
		return nil, err
	}
	doc.Rev++
	doc.Domain.touch(c.stamp(), doc.Rev)
	if err := put(s, dirDomains, s.domains, name, doc); err != nil {
		return nil, err
	}
	return c.domainReply(doc), nil
}

func (c *region) deleteDomain(q *call) (*reply, error) {
	s, name := c.store, strings.ToLower(q.params["d"])
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.unmoved(q, name); err != nil {
		return nil, err
	}
	return done(), put(s, dirDomains, s.domains, name, nil)
}

// checkRoutes makes sure that the functions are there. The caller holds mu.
func (s *store) checkRoutes(config *routeConfig) error {
	for _, r := range config.Routes {
		doc := s.services[r.ServiceName]
		if doc == nil {
			return notFound("Service", "service '%s' does not exist", r.ServiceName)
		}
		at, err := doc.at(orDefault(r.Qualifier, latest))
		if err != nil {
			return err
		}
		if _, err := at.function(r.FunctionName); err != nil {
			return err
		}
	}
	return nil
}

var domainPattern = regexp.MustCompile(`^(\*\.)?([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)+[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// isDomainName reports whether name is a full domain name as DNS takes it (RFC 1035,
// section 2.3.4), or a wildcard. The limit of 63 is no repetition in domainPattern:
// compiling that would slow down the start of every command.
func isDomainName(name string) bool {
	long := func(label string) bool { return len(label) > 63 }
	return len(name) <= 253 && domainPattern.MatchString(name) && net.ParseIP(name) == nil &&
		!slices.ContainsFunc(strings.Split(name, "."), long)
}

func (s *domainSpec) validate() error {
	if s.DomainName == "" {
		return invalid("domainName is required but not provided")
	}
	if !isDomainName(s.DomainName) {
		return invalid("domainName must be a full domain name (actual: '%.300s')", s.DomainName)
	}
	if !oneOf(s.Protocol, "HTTP", "HTTPS", "HTTP,HTTPS") {
		return invalid("protocol must be HTTP, HTTPS or HTTP,HTTPS (actual: '%.64s')", s.Protocol)
	}
	if cert := s.CertConfig; s.Protocol != "HTTP" {
		if cert == nil || cert.Certificate == "" || cert.PrivateKey == "" {
			return invalid("certConfig with certName, certificate and privateKey is required for the protocol %s", s.Protocol)
		}
		if _, err := tls.X509KeyPair([]byte(cert.Certificate), []byte(cert.PrivateKey)); err != nil {
			return invalid("certConfig: certificate and privateKey cannot be used: %v", err)
		}
	}
	if t := s.TLSConfig; t != nil {
		for field, v := range map[string]string{"minVersion": t.MinVersion, "maxVersion": t.MaxVersion} {
			if !oneOf(v, "", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3") {
				return invalid("tlsConfig.%s must be TLSv1.0, TLSv1.1, TLSv1.2 or TLSv1.3 (actual: '%.64s')", field, v)
			}
		}
	}
	if s.RouteConfig == nil {
		s.RouteConfig = &routeConfig{}
	}
	return s.RouteConfig.validate()
}

func (r *routeConfig) validate() error {
	var paths []string
	for _, route := range r.Routes {
		if !hasPrefix(route.Path, "/") {
			return invalid("routeConfig: the path '%.200s' must begin with /", route.Path)
		}
		if i := strings.Index(route.Path, "*"); i >= 0 && (i != len(route.Path)-1 || !strings.HasSuffix(route.Path, "/*")) {
			return invalid("routeConfig: the path '%.200s' can have * at its end only, after /", route.Path)
		}
		if slices.Contains(paths, route.Path) {
			return invalid("routeConfig: the path '%.200s' is there twice", route.Path)
		}
		paths = append(paths, route.Path)
		if route.ServiceName == "" || route.FunctionName == "" {
			return invalid("routeConfig: the path '%.200s' needs serviceName and functionName", route.Path)
		}
		if err := checkMethods(route.Methods); err != nil {
			return err
		}
		if route.RewriteConfig == nil {
			continue
		}
		for _, rule := range route.RewriteConfig.RegexRules {
			if _, err := regexp.Compile(rule.Match); err != nil {
				return invalid("rewriteConfig: the expression '%.200s' cannot be used: %v", rule.Match, err)
			}
		}
	}
	return nil
}
