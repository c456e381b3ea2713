//go:build !linux

package state

// ThisProcess returns nothing: on this system a claim of a process that has ended is
// found out by its age alone.
func ThisProcess() ProcessInfo { return ProcessInfo{} }
