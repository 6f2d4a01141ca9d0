package main

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

//go:embed load/load.c
var loadSource []byte

// prepare finds the inits, builds the programs of the bench, and chooses the place.
func (b *bench) prepare() error {
	program, err := filepath.Abs(b.reaper)
	if err != nil {
		return err
	}
	if _, err := os.Stat(program); err != nil {
		return fmt.Errorf("find reaper: %w; make build makes it", err)
	}
	if err := b.buildLoad(); err != nil {
		return err
	}
	mini := filepath.Join(b.dir, "miniinit")
	if err := b.output("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", mini,
		"github.com/reaper-init/reaper/test/bench/miniinit"); err != nil {
		return fmt.Errorf("build the minimal init: %w", err)
	}
	b.peers = slices.DeleteFunc(peers(), func(p *peer) bool {
		return len(b.inits) > 0 && p.name != reaper && !p.bare && !slices.Contains(b.inits, p.name)
	})
	b.install()
	for _, p := range b.peers {
		switch p.name {
		case reaper:
			p.program = program
		case minimal:
			p.program = mini
		case alone, cLoop:
			p.program = b.load
		default:
			p.find()
		}
		if p.missing != "" {
			b.notes = append(b.notes, p.name+": "+p.missing)
		}
	}
	return b.choosePlace()
}

// buildLoad compiles the load, static if the C library has what it takes.
func (b *bench) buildLoad() error {
	source := filepath.Join(b.dir, "load.c")
	b.load = filepath.Join(b.dir, "load")
	if err := os.WriteFile(source, loadSource, 0o644); err != nil {
		return err
	}
	err := b.output("cc", "-O2", "-static", "-o", b.load, source)
	if err != nil && !errors.Is(err, exec.ErrNotFound) {
		err = b.output("cc", "-O2", "-o", b.load, source)
	}
	if err != nil {
		return fmt.Errorf("build the load, which takes a C compiler: %w", err)
	}
	return nil
}

// output runs a program that is part of the preparation; what it says is told if it
// fails.
func (b *bench) output(name string, args ...string) error {
	cmd := exec.CommandContext(b.ctx, name, args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "DEBIAN_FRONTEND=noninteractive", "TMPDIR="+b.dir)
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) } // it can end its own
	cmd.WaitDelay = patience
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// install installs the inits that are missing, if it is wanted and can be done.
func (b *bench) install() {
	if !b.setup || os.Geteuid() != 0 {
		return
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return
	}
	args := []string{"install", "-y", "-qq", "--no-install-recommends"}
	wanted := len(args)
	for _, p := range b.peers {
		if _, err := exec.LookPath(p.program); p.pack != "" && err != nil {
			args = append(args, p.pack)
		}
	}
	if len(args) == wanted {
		return
	}
	err := b.output("apt-get", "update", "-qq")
	if err == nil {
		err = b.output("apt-get", args...)
	}
	if err != nil {
		b.notes = append(b.notes, "install "+strings.Join(args[wanted:], " ")+": "+err.Error())
	}
}

// find finds an init of the machine.
func (p *peer) find() {
	path, err := exec.LookPath(p.program)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		p.missing = fmt.Sprintf("not installed (Debian's package %s)", p.pack)
		return
	}
	p.program = path
	if out, err := exec.Command("dpkg-query", "-W", "-f", "${Version}", p.pack).Output(); err == nil {
		p.version = string(out)
	}
}

// choosePlace finds where the inits can run.
func (b *bench) choosePlace() error {
	places := []place{{pid1: true}, {pid1: true, user: true}, {}}
	switch b.place {
	case "subreaper":
		places = places[2:]
	case "pid1":
		places = places[:2]
	}
	var errs error
	for _, at := range places {
		if at.user != (at.pid1 && os.Geteuid() != 0) {
			continue
		}
		proc := "0"
		if at.pid1 {
			proc = "1"
		}
		cmd := exec.CommandContext(b.ctx, b.load, "enter", proc, b.load, "mark")
		cmd.SysProcAttr = at.attr()
		cmd.SysProcAttr.Pdeathsig = 0 // it ends by itself
		err := cmd.Run()
		if err == nil {
			b.at = at
			return nil
		}
		errs = errors.Join(errs, fmt.Errorf("run as %v: %w", at, err))
	}
	return errs
}
