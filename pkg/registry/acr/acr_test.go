package acr

import (
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for host, want := range map[string]Registry{
		"registry.cn-hangzhou.aliyuncs.com":                      {Edition: Personal, Region: "cn-hangzhou", Name: "registry"},
		"registry-vpc.cn-beijing.aliyuncs.com":                   {Edition: Personal, Region: "cn-beijing", Network: VPC, Name: "registry"},
		"registry-internal.ap-southeast-1.aliyuncs.com":          {Edition: Personal, Region: "ap-southeast-1", Network: Internal, Name: "registry"},
		"my-shop-registry.cn-shanghai.cr.aliyuncs.com":           {Edition: Enterprise, Region: "cn-shanghai", Name: "my-shop-registry"},
		"my-shop-registry-vpc.cn-shanghai.cr.aliyuncs.com":       {Edition: Enterprise, Region: "cn-shanghai", Network: VPC, Name: "my-shop-registry"},
		"crpi-1a2b3c.cn-hangzhou.personal.cr.aliyuncs.com":       {Edition: Personal, Region: "cn-hangzhou", Name: "crpi-1a2b3c"},
		"crpi-1a2b3c-vpc.cn-hangzhou.personal.cr.aliyuncs.com":   {Edition: Personal, Region: "cn-hangzhou", Network: VPC, Name: "crpi-1a2b3c"},
		"REGISTRY.cn-hangzhou.aliyuncs.com":                      {Edition: Personal, Region: "cn-hangzhou", Name: "registry"},
		"registry-registry-vpc.cn-north-2-gov-1.cr.aliyuncs.com": {Edition: Enterprise, Region: "cn-north-2-gov-1", Network: VPC, Name: "registry-registry"},
	} {
		got, ok := Parse(host)
		got.domain = ""
		if !ok || got != want {
			t.Errorf("%s: %+v, %v; want %+v", host, got, ok, want)
		}
		if again, _ := Parse(host); again.Host() != strings.ToLower(host) {
			t.Errorf("%s becomes %s", host, again.Host())
		}
	}
	for _, host := range []string{
		"", "registry", "docker.io", "registry.aliyuncs.com", "registry.cn-hangzhou.aliyuncs.com.evil.example",
		"evil.example/registry.cn-hangzhou.aliyuncs.com", "registry.cn-hangzhou.aliyuncs.com:443", "registry.cn-hangzhou.cr.aliyuncs.com",
		"shop.cn-hangzhou.cr.aliyuncs.com", "my-registry.cn-hangzhou.aliyuncs.com", "registryxcn-hangzhou.aliyuncs.com",
		"-registry.cn-hangzhou.cr.aliyuncs.com", "127.0.0.1:5000", "registry.cn-hangzhou.aliyuncs.com\n",
	} {
		if r, ok := Parse(host); ok {
			t.Errorf("%q is taken for %+v", host, r)
		}
	}
}

func TestHosts(t *testing.T) {
	want := []string{"registry-vpc.cn-hangzhou.aliyuncs.com", "registry.cn-hangzhou.aliyuncs.com", "registry-internal.cn-hangzhou.aliyuncs.com"}
	if got := Hosts(want[0]); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if got := Hosts("ghcr.io"); !slices.Equal(got, []string{"ghcr.io"}) {
		t.Errorf("got %v", got)
	}
}

func TestPushImage(t *testing.T) {
	for _, tt := range []struct{ image, target, want, err string }{
		{"registry-vpc.cn-hangzhou.aliyuncs.com/a/b:1", PushInternet, "registry.cn-hangzhou.aliyuncs.com/a/b:1", ""},
		{"registry.cn-hangzhou.aliyuncs.com/a/b:1", PushVPC, "registry-vpc.cn-hangzhou.aliyuncs.com/a/b:1", ""},
		{"registry-internal.cn-hangzhou.aliyuncs.com/a/b@sha256:00", PushVPC, "registry-vpc.cn-hangzhou.aliyuncs.com/a/b@sha256:00", ""},
		{"shop-registry-vpc.cn-hangzhou.cr.aliyuncs.com/a/b:1", PushInternet, "shop-registry.cn-hangzhou.cr.aliyuncs.com/a/b:1", ""},
		{"crpi-1a.cn-hangzhou.personal.cr.aliyuncs.com/a/b:1", PushVPC, "crpi-1a-vpc.cn-hangzhou.personal.cr.aliyuncs.com/a/b:1", ""},
		{"registry.cn-hangzhou.aliyuncs.com/a/b:1", PushInternet, "registry.cn-hangzhou.aliyuncs.com/a/b:1", ""},
		{"ghcr.io/a/b:1", "", "ghcr.io/a/b:1", ""},
		{"ghcr.io/a/b:1", PushVPC, "", "only for images in the registry"},
		{"busybox", PushVPC, "", "only for images in the registry"},
		{"registry.cn-hangzhou.aliyuncs.com/a/b:1", "acr", "", `"acr" is not known`},
	} {
		got, err := PushImage(tt.image, tt.target)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s to %s: %q, %v", tt.image, tt.target, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("registry-vpc.cn-hangzhou.aliyuncs.com")
	f.Add("a-registry.cn-hangzhou.cr.aliyuncs.com")
	f.Fuzz(func(t *testing.T, host string) {
		r, ok := Parse(host)
		if ok && (r.Host() != strings.ToLower(host) || r.Region == "" || !strings.HasSuffix(r.Host(), ".aliyuncs.com")) {
			t.Errorf("%q: %+v", host, r)
		}
	})
}
