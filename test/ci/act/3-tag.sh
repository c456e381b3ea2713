# Release tags: a version, and the alias.
# shellcheck shell=bash
push_event refs/tags/v1.0.0 >"$event"
run_workflow tag push "${secrets[@]}"
check "a tag: the step succeeds" ended 0
check "a tag: the version" output version 1
check "a tag: the alias" output alias live
check "a tag: there was no version before" output previous-version ''
check "a tag: the description is the tag" prints "v1.0.0" online version list

push_event refs/tags/v1.0.0 >"$event"
run_workflow tag-again push "${secrets[@]}"
check "the same tag again: the step succeeds" ended 0
check "the same tag again: the same version" output version 1
