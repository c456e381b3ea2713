package image

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWorkDirOfSomebodyElse(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a folder to somebody else")
	}
	dir := filepath.Join(t.TempDir(), "builds")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if _, err := openWorkDir(dir); err == nil || !strings.Contains(err.Error(), "is not a folder of this user") {
		t.Errorf("the error is %v", err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	if _, err := openWorkDir(link); err == nil {
		t.Error("a link was followed")
	}
}
