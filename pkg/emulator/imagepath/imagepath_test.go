package imagepath

import (
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
)

func TestRepository(t *testing.T) {
	for _, c := range []struct{ host, want, region string }{
		{"registry.cn-hangzhou.aliyuncs.com", "registry.cn-hangzhou.aliyuncs.com/ns/repo", "cn-hangzhou"},
		{"registry-vpc.cn-hangzhou.aliyuncs.com", "registry.cn-hangzhou.aliyuncs.com/ns/repo", "cn-hangzhou"},
		{"registry-internal.cn-beijing.aliyuncs.com", "registry.cn-beijing.aliyuncs.com/ns/repo", "cn-beijing"},
		{"Registry.CN-Hangzhou.aliyuncs.com", "registry.cn-hangzhou.aliyuncs.com/ns/repo", "cn-hangzhou"},
		{"shop-registry.ap-southeast-1.cr.aliyuncs.com", "shop-registry.ap-southeast-1.cr.aliyuncs.com/ns/repo", "ap-southeast-1"},
		{"shop-registry-vpc.ap-southeast-1.cr.aliyuncs.com", "shop-registry.ap-southeast-1.cr.aliyuncs.com/ns/repo", "ap-southeast-1"},
		{"my-shop-registry-internal.cn-beijing.cr.aliyuncs.com", "my-shop-registry.cn-beijing.cr.aliyuncs.com/ns/repo", "cn-beijing"},
		{"crpi-0abc12.cn-hangzhou.personal.cr.aliyuncs.com", "crpi-0abc12.cn-hangzhou.personal.cr.aliyuncs.com/ns/repo", "cn-hangzhou"},
		{"crpi-0abc12-vpc.cn-hangzhou.personal.cr.aliyuncs.com", "crpi-0abc12.cn-hangzhou.personal.cr.aliyuncs.com/ns/repo", "cn-hangzhou"},

		{"docker.io", "", ""},
		{"127.0.0.1:5000", "", ""},
		{"localhost", "", ""},
		{"registry.cn-hangzhou.aliyuncs.com:443", "", ""},
		{"registry.cn-hangzhou.aliyuncs.com.example.org", "", ""},
		{"registry.cn-hangzhou.cr.aliyuncs.com", "", ""},
		{"shop-registry.cn-hangzhou.aliyuncs.com", "", ""},
		{"oss-cn-hangzhou.aliyuncs.com", "", ""},
		{"", "", ""},
	} {
		got, ok := Repository(c.host, "ns/repo")
		_, region, _ := Registry(c.host)
		if got != c.want || ok != (c.want != "") || region != c.region {
			t.Errorf("%s: %q %v, region %q; want %q in %q", c.host, got, ok, region, c.want, c.region)
		}
	}
	if got, ok := Repository("registry.cn-hangzhou.aliyuncs.com", ""); ok {
		t.Errorf("no repository leads to %q", got)
	}
}

// FuzzRepository checks that what the rule yields is a repository that clients take,
// and that the rule has no effect on its own result.
func FuzzRepository(f *testing.F) {
	f.Add("registry-vpc.cn-hangzhou.aliyuncs.com", "ns/repo")
	f.Add("a-registry-vpc.cn-x.cr.aliyuncs.com", "a/b/c")
	f.Fuzz(func(t *testing.T, host, repository string) {
		path, ok := Repository(host, repository)
		if !ok {
			return
		}
		public, rest, _ := strings.Cut(path, "/")
		if again, ok := Repository(public, rest); !ok || again != path {
			t.Errorf("%q leads to %q, which leads to %q", host, path, again)
		}
		if _, err := name.NewRepository("127.0.0.1:9090/"+repository, name.StrictValidation); err == nil && len(path) < 255 {
			if _, err := name.NewRepository("127.0.0.1:9090/" + path); err != nil {
				t.Errorf("%q is no repository: %v", path, err)
			}
		}
	})
}
