package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/devs/deploy/pkg/stream"
)

// What is wrong with devs image is told before anything is built, and its help shows
// the command as it has to be written.
func TestImageTold(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"build", "--help"}, "devs image build [flags] CONTEXT"},
		{[]string{"--help"}, "devs image [command]"},
		{[]string{"bogus"}, `error: unknown command "bogus" for "devs image"`},
		{[]string{"build", "--isolation", "nope", "--plan", "."}, `error: "nope" is no kind of isolation`},
	}
	for _, test := range tests {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			io, out, failure := stream.Test("")
			Main(t.Context(), &Env{Args: append([]string{"image"}, test.args...), IO: io, Dir: t.TempDir(), Now: time.Now})
			if said := out.String() + failure.String(); !strings.Contains(said, test.want) {
				t.Errorf("devs image said %q, not %q", said, test.want)
			}
		})
	}
}
