package credential

import (
	"encoding/json"
	"path/filepath"
	"strings"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/secret"
)

// AliyunCLI is the alias that means the current profile of the Alibaba Cloud CLI.
const AliyunCLI = "${aliyun-cli}"

// cliConfig is ~/.aliyun/config.json, as far as we use it.
type cliConfig struct {
	Current  string       `json:"current"`
	Profiles []cliProfile `json:"profiles"`
}

type cliProfile struct {
	Name            string `json:"name"`
	Mode            string `json:"mode"`
	AccessKeyID     string `json:"access_key_id"`
	AccessKeySecret string `json:"access_key_secret"`
	Token           string `json:"sts_token"`
	Region          string `json:"region_id"`
}

// resolveAliyunCLI returns the keys of the current profile of the Alibaba Cloud
// CLI. ALIBABACLOUD_CONFIG names another file.
func (r *Resolver) resolveAliyunCLI() (*Credential, error) {
	path := r.value("ALIBABACLOUD_CONFIG")
	if path == "" && r.config.HomeDir == "" {
		return nil, diag.Errorf("the home folder is not known, so there is no configuration of the Alibaba Cloud CLI").
			WithHint("set HOME, or ALIBABACLOUD_CONFIG to the path of its config.json")
	}
	if path == "" {
		path = filepath.Join(r.config.HomeDir, ".aliyun", "config.json")
	}
	data, err := readFile(path, maxConfigFile)
	if isAbsent(err) {
		return nil, diag.Errorf("access is %s, but there is no %s", AliyunCLI, path).
			WithHint("run aliyun configure, or set ALIBABACLOUD_CONFIG to the path of the file")
	}
	if err != nil {
		return nil, err
	}
	var config cliConfig
	if json.Unmarshal(data, &config) != nil {
		return nil, diag.At(diag.Pos{File: path}, "this file is not a configuration of the Alibaba Cloud CLI").
			WithHint("run aliyun configure")
	}
	for _, p := range config.Profiles {
		r.config.Redactor.Add(p.AccessKeyID, p.AccessKeySecret, p.Token)
	}
	if config.Current == "" {
		config.Current = "default"
	}
	for _, p := range config.Profiles {
		if p.Name == config.Current {
			return profileCredential(path, p)
		}
	}
	return nil, diag.At(diag.Pos{File: path}, "this file has no profile with the name that current says").
		WithHint("run aliyun configure switch")
}

// profileCredential returns the keys of a profile. Only the modes that hold keys
// are supported; the others get theirs from a service at run time.
func profileCredential(path string, p cliProfile) (*Credential, error) {
	switch p.Mode {
	case "", "AK":
		p.Token = ""
	case "StsToken":
		if strings.TrimSpace(p.Token) == "" {
			return nil, diag.At(diag.Pos{File: path}, "the current profile has mode StsToken but no sts_token").
				WithHint("run aliyun configure --mode StsToken")
		}
	case "RamRoleArn", "EcsRamRole", "RsaKeyPair", "RamRoleArnWithEcs", "ChainableRamRoleArn",
		"External", "CredentialsURI", "OIDC", "CloudSSO", "OAuth":
		return nil, diag.At(diag.Pos{File: path}, "the current profile has mode %s, which is not supported", p.Mode).
			WithHint("use a profile of mode AK or StsToken, or ALIBABA_CLOUD_ACCESS_KEY_ID and the variables beside it")
	default:
		return nil, diag.At(diag.Pos{File: path}, "the current profile has a mode that is not known").
			WithHint("use a profile of mode AK or StsToken")
	}
	return newCredential(AliyunCLI, "the current profile in "+path, []Field{
		{FieldAccessKeyID, secret.New(p.AccessKeyID)},
		{FieldAccessKeySecret, secret.New(p.AccessKeySecret)},
		{FieldSecurityToken, secret.New(p.Token)},
		{FieldRegion, secret.New(p.Region)},
	})
}
