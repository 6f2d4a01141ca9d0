package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The inits by name, where the code has to know them.
const (
	reaper  = "reaper"
	tini    = "tini"
	minimal = "minimal Go"
	alone   = "no init"
	cLoop   = "C loop"
)

// peer is one init.
type peer struct {
	name     string
	program  string   // its file name; the path, once it has been found
	pack     string   // Debian's package
	args     []string // before the command
	beside   []string // before the command, if it is not PID 1
	adopts   bool     // orphans, if it is not PID 1
	services bool     // it runs no command, but a directory with a script
	stops    bool     // what the command has left
	bare     bool     // it is part of the comparison only
	version  string
	missing  string // why it cannot be measured
}

func peers() []*peer {
	return []*peer{
		{name: reaper, args: []string{"--"}, beside: []string{"--"}, adopts: true, stops: true},
		{name: tini, program: "tini", pack: "tini", args: []string{"--"}, beside: []string{"-s", "--"}, adopts: true},
		{name: "dumb-init", program: "dumb-init", pack: "dumb-init", args: []string{"--"}, beside: []string{"--"}},
		{name: "catatonit", program: "catatonit", pack: "catatonit", args: []string{"--"}, beside: []string{"--"}, adopts: true},
		{name: "s6-svscan", program: "s6-svscan", pack: "s6", services: true},
		{name: "runsv", program: "runsv", pack: "runit", services: true},
		{name: minimal, adopts: true},
		{name: alone, bare: true},
		{name: cLoop, bare: true, args: []string{"loop"}, beside: []string{"loop"}, adopts: true, stops: true},
	}
}

// peerNames are those that can be chosen; the others come with the scenarios that need
// them.
func peerNames() []string {
	var names []string
	for _, p := range peers() {
		if !p.bare {
			names = append(names, p.name)
		}
	}
	return names
}

// argv is the command line with which the peer runs a command. dir is an empty
// directory that it may fill.
func (p *peer) argv(at place, dir string, command []string) ([]string, error) {
	switch {
	case p.name == alone:
		return command, nil
	case p.services:
		return p.service(dir, command)
	case at.pid1:
		return append(append([]string{p.program}, p.args...), command...), nil
	default:
		return append(append([]string{p.program}, p.beside...), command...), nil
	}
}

// service writes the script that s6-supervise and runsv start, and is the command line
// that has them do it.
func (p *peer) service(dir string, command []string) ([]string, error) {
	service := filepath.Join(dir, "load")
	if err := os.Mkdir(service, 0o755); err != nil {
		return nil, err
	}
	script := "#!/bin/sh\nexec '" + strings.Join(command, "' '") + "'\n"
	if err := os.WriteFile(filepath.Join(service, "run"), []byte(script), 0o755); err != nil {
		return nil, fmt.Errorf("write service: %w", err)
	}
	if p.name == "runsv" {
		return []string{p.program, service}, nil
	}
	return []string{p.program, dir}, nil
}
