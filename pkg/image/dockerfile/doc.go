// Package dockerfile reads a Dockerfile and evaluates it step by step: what each
// instruction does to the config of the image, and what it asks of the files. It is
// pure: no file, network, clock or environment is touched. Words and instructions are
// read by the parser of BuildKit (moby/buildkit/frontend/dockerfile), so the language
// is the one of docker build; the evaluation follows its rules and is our own.
//
// A caller parses with Parse, walks File.Stages in order, makes a State for each (State
// for a stage on an image or on nothing, StateOn for a stage on another one), and calls
// State.Next until it says that there is no more. Every Op that comes back changes
// files; all the rest has happened to State.Config.
package dockerfile
