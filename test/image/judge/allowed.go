package judge

import "regexp"

// Allowed is a difference between a builder and a judge that is right to be there.
// Empty fields stand for all; Case and What are patterns of the whole name.
type Allowed struct {
	Builder, Judge string
	Case, What     string
	Reason         string
}

func (a Allowed) covers(builder, judge, name, what string) bool {
	if a.Builder != "" && a.Builder != builder || a.Judge != "" && a.Judge != judge {
		return false
	}
	return matches(a.Case, name) && matches(a.What, what)
}

func matches(pattern, text string) bool {
	return pattern == "" || regexp.MustCompile(`^(?:`+pattern+`)$`).MatchString(text)
}

// allowedDifferences is the table. A row that nothing needs is an error of the table.
func allowedDifferences() []Allowed {
	return []Allowed{
		{Judge: classic, Case: "expansion|multi-stage-inherit|volume|onbuild.*", What: "/(opt/app/data|data|logs|json|with space)",
			Reason: "the classic builder starts a container for the steps after VOLUME, which makes the folder of the volume"},
		{Judge: classic, Case: "copy-chown.*", What: "/(made|new).*",
			Reason: "folders that COPY --chown makes belong to root there; with BuildKit to the owner that was given"},
		{Judge: classic, Case: "from-scratch.*|config-empty-base", What: "config.WorkingDir",
			Reason: "BuildKit writes down that the folder is the root where the base has none"},
		{Judge: classic, Case: "config-health-none", What: "config.Healthcheck",
			Reason: "the classic builder keeps the times of an earlier HEALTHCHECK beside NONE"},
		{Judge: classic, Case: "workdir-user", What: "/home/made.*",
			Reason: "a folder that WORKDIR makes belongs to root there; with BuildKit to USER"},
		{Builder: host, Case: "diff-hardlinks", What: "/fourth",
			Reason: "on overlayfs a hard link to a file of a layer below becomes a copy; here it stays a link"},
		{Builder: container, Case: "diff-hardlinks", What: "/fourth",
			Reason: "on overlayfs a hard link to a file of a layer below becomes a copy; here it stays a link"},
		{Builder: user, Case: "diff-hardlinks", What: "/fourth",
			Reason: "on overlayfs a hard link to a file of a layer below becomes a copy; here it stays a link"},
		{Judge: buildkit, Case: "mount-.*", What: "/(a|cache|ctx|odd|out|elsewhere|owned|scratch|run|run/secrets|run/buildkit|tmp/cache|etc/made|etc/made/for)",
			Reason: "BuildKit 0.8 leaves the folders that it makes to mount into; later ones do not"},
		{Judge: buildkit, Case: "copy-special", What: "/dst/fifo",
			Reason: "COPY of BuildKit 0.8 drops named pipes; later ones keep them"},
		{Builder: buildkit, Judge: classic, Case: "copy-special", What: "/dst/fifo",
			Reason: "COPY of BuildKit 0.8 drops named pipes; later ones keep them"},
		{Case: "debian-.*", What: "/var/log/.*|/var/cache/apt/.*|/var/cache/ldconfig/aux-cache|/etc/.*-|.*/__pycache__/.*[.]pyc",
			Reason: "logs, caches and compiled files hold times"},
		{Case: "debian-python", What: "/etc/shadow",
			Reason: "holds the day"},
	}
}
