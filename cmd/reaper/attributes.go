package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// becoming is what the options say of the process that the command becomes, and that
// has to be looked up first. The rest they write into the configuration.
type becoming struct {
	user            string // --user, "" for that of reaper
	setEnv          assignments
	envFiles        words
	clearEnv        bool
	keepEnv         bool
	capDrop, capAdd capabilityList
	newSession      bool
}

// becomingFlags declares the options of the process that the command becomes.
func becomingFlags(f *pflag.FlagSet, o *options) {
	a := &o.config.Attributes
	f.VarP(wordValue{&o.user}, "user", "u", "")
	f.VarP(wordValue{&a.Dir}, "workdir", "w", "")
	f.VarP(&o.setEnv, "env", "e", "")
	f.Var(&o.envFiles, "env-file", "")
	f.BoolVar(&o.clearEnv, "clear-env", false, "")
	f.BoolVar(&o.keepEnv, "keep-env", false, "")
	f.Var(umaskValue{&a.Umask}, "umask", "")
	f.Var(limitValue{&a.Limits}, "ulimit", "")
	f.Var(rangeValue{&a.Nice, -20, 19}, "nice", "")
	f.Var(rangeValue{&a.OOMScoreAdj, -1000, 1000}, "oom-score-adj", "")
	f.BoolVar(&a.NoNewPrivileges, "no-new-privileges", false, "")
	f.Var(&o.capDrop, "cap-drop", "")
	f.Var(&o.capAdd, "cap-add", "")
	f.BoolVar(&o.newSession, "new-session", false, "")
}

// prepare looks up what the command is to become, and whether that can be. What only
// the kernel can tell it does before the command is executed, with the same exit code;
// see describeStep. env is reaper's own environment.
func (o *options) prepare(env []string) error {
	c := &o.config
	if o.newSession {
		c.Placement = reap.OwnSession
	}
	home, root := "", os.Geteuid() == 0
	if o.user != "" {
		who, err := lookUp(o.user, passwdFile, groupFile)
		if err != nil {
			return o.wrong("user", o.user, err)
		}
		c.Attributes.User = &who.User
		home, root = who.home, who.UID == 0
	}
	if !o.capAdd.empty() || !o.capDrop.empty() {
		own, err := reap.ReadCapabilities()
		if err != nil {
			return err
		}
		if c.Attributes.DropCapabilities, c.Attributes.AddCapabilities, err = o.capabilities(root, own); err != nil {
			return err
		}
	}
	if err := checkDirectory(c.Attributes.Dir); err != nil {
		return o.wrong("workdir", c.Attributes.Dir, err)
	}
	for _, l := range c.Attributes.Limits {
		if err := checkLimit(l); err != nil {
			return o.wrong("ulimit", limitText(l), err)
		}
	}
	var err error
	c.Env, err = o.environment(env, home)
	return err
}

// wrong says where a wrong value was given.
func (o *options) wrong(option, value string, err error) error {
	if o.flags.Changed(option) {
		return wrongValue("--"+option+" "+quoted(value), err)
	}
	return wrongValue(variableOf(option)+"="+quoted(value), err)
}

// checkDirectory finds out what can be known before the user has changed.
func checkDirectory(dir string) error {
	const hint = "reaper does not make it"
	info, err := os.Stat(dir)
	switch {
	case dir == "":
	case errors.Is(err, fs.ErrNotExist):
		return &usageError{"no such directory", hint}
	case errors.Is(err, unix.ENOTDIR), err == nil && !info.IsDir():
		return &usageError{"not a directory", hint}
	}
	return nil
}

// checkLimit finds a limit that is above the hard one of a reaper that may not raise it.
func checkLimit(l reap.ResourceLimit) error {
	var own unix.Rlimit
	if err := unix.Getrlimit(l.Resource, &own); err != nil || l.Limit.Max <= own.Max {
		return nil //nolint:nilerr // then the kernel has the word when it is set
	}
	if caps, err := reap.ReadCapabilities(); err != nil || caps.Effective.Has(unix.CAP_SYS_RESOURCE) {
		return nil //nolint:nilerr // as above
	}
	return &usageError{
		fmt.Sprintf("the hard limit is %s, and reaper may not raise it", amountText(own.Max)),
		"stay below it, or give CAP_SYS_RESOURCE to reaper",
	}
}

// describeStep says what the child could not do before it came to the execution.
func describeStep(failed *reap.StartError) string {
	switch failed.Op {
	case "fork for":
		return "no process could be made for it: " + failed.Err.Error()
	case "set attributes of":
		return "what it becomes can be changed on amd64 and arm64 alone"
	case "change directory for":
		return "directory " + quoted(failed.Dir) + ": " + failed.Err.Error()
	}
	text := failed.Op + " it: " + failed.Err.Error()
	switch {
	case failed.Op == "set user of" && errors.Is(failed, unix.EINVAL):
		text += "; an ID is not mapped into this user namespace"
	case errors.Is(failed, unix.EPERM), errors.Is(failed, unix.EACCES):
		if needs := neededFor(failed.Op); needs != "" {
			text += "; that needs " + needs
		}
	}
	return text
}

// neededFor is what the kernel asks of who does such a step.
func neededFor(op string) string {
	return map[string]string{
		"set user of":          "CAP_SETUID and CAP_SETGID",
		"set limits of":        "CAP_SYS_RESOURCE, and fs.nr_open for nofile",
		"set niceness of":      "CAP_SYS_NICE",
		"set OOM score of":     "CAP_SYS_RESOURCE",
		"drop capabilities of": "CAP_SETPCAP",
	}[op]
}
