package main

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// capabilityNames are those of capabilities(7), without CAP_.
//
//nolint:gochecknoglobals // a table
var capabilityNames = [...]string{
	unix.CAP_CHOWN:              "CHOWN",
	unix.CAP_DAC_OVERRIDE:       "DAC_OVERRIDE",
	unix.CAP_DAC_READ_SEARCH:    "DAC_READ_SEARCH",
	unix.CAP_FOWNER:             "FOWNER",
	unix.CAP_FSETID:             "FSETID",
	unix.CAP_KILL:               "KILL",
	unix.CAP_SETGID:             "SETGID",
	unix.CAP_SETUID:             "SETUID",
	unix.CAP_SETPCAP:            "SETPCAP",
	unix.CAP_LINUX_IMMUTABLE:    "LINUX_IMMUTABLE",
	unix.CAP_NET_BIND_SERVICE:   "NET_BIND_SERVICE",
	unix.CAP_NET_BROADCAST:      "NET_BROADCAST",
	unix.CAP_NET_ADMIN:          "NET_ADMIN",
	unix.CAP_NET_RAW:            "NET_RAW",
	unix.CAP_IPC_LOCK:           "IPC_LOCK",
	unix.CAP_IPC_OWNER:          "IPC_OWNER",
	unix.CAP_SYS_MODULE:         "SYS_MODULE",
	unix.CAP_SYS_RAWIO:          "SYS_RAWIO",
	unix.CAP_SYS_CHROOT:         "SYS_CHROOT",
	unix.CAP_SYS_PTRACE:         "SYS_PTRACE",
	unix.CAP_SYS_PACCT:          "SYS_PACCT",
	unix.CAP_SYS_ADMIN:          "SYS_ADMIN",
	unix.CAP_SYS_BOOT:           "SYS_BOOT",
	unix.CAP_SYS_NICE:           "SYS_NICE",
	unix.CAP_SYS_RESOURCE:       "SYS_RESOURCE",
	unix.CAP_SYS_TIME:           "SYS_TIME",
	unix.CAP_SYS_TTY_CONFIG:     "SYS_TTY_CONFIG",
	unix.CAP_MKNOD:              "MKNOD",
	unix.CAP_LEASE:              "LEASE",
	unix.CAP_AUDIT_WRITE:        "AUDIT_WRITE",
	unix.CAP_AUDIT_CONTROL:      "AUDIT_CONTROL",
	unix.CAP_SETFCAP:            "SETFCAP",
	unix.CAP_MAC_OVERRIDE:       "MAC_OVERRIDE",
	unix.CAP_MAC_ADMIN:          "MAC_ADMIN",
	unix.CAP_SYSLOG:             "SYSLOG",
	unix.CAP_WAKE_ALARM:         "WAKE_ALARM",
	unix.CAP_BLOCK_SUSPEND:      "BLOCK_SUSPEND",
	unix.CAP_AUDIT_READ:         "AUDIT_READ",
	unix.CAP_PERFMON:            "PERFMON",
	unix.CAP_BPF:                "BPF",
	unix.CAP_CHECKPOINT_RESTORE: "CHECKPOINT_RESTORE",
}

const hintCapability = "use names as NET_ADMIN or CAP_NET_ADMIN, with commas between, or ALL"

// capabilityList is what --cap-add or --cap-drop names.
type capabilityList struct {
	set reap.CapabilitySet
	all bool
}

// Set takes names with or without CAP_ in any case, and ALL, several with commas.
func (l *capabilityList) Set(text string) error {
	for word := range strings.SplitSeq(text, ",") {
		name := strings.TrimPrefix(strings.ToUpper(word), "CAP_")
		n := slices.Index(capabilityNames[:], name)
		switch {
		case name == "ALL":
			l.all = true
		case n < 0:
			return &usageError{quoted(word) + " is not a capability", hintCapability}
		default:
			l.set = l.set.With(n)
		}
	}
	return nil
}

func (l *capabilityList) String() string { return "" }
func (l *capabilityList) Type() string   { return "list" }

func (l *capabilityList) empty() bool { return l.set == 0 && !l.all }

// namesOf is the capabilities of a set, for a message.
func namesOf(set reap.CapabilitySet) string {
	var names []string
	for n, name := range capabilityNames {
		if set.Has(n) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// capabilities is what is to be dropped and added. As in docker run a name counts more
// than ALL, and nothing can be added that reaper itself has not got. What is added to
// root it has by being root, as long as it is not dropped; another user has it as an
// ambient capability.
func (o *options) capabilities(root bool, own reap.Capabilities) (drop, add reap.CapabilitySet, err error) {
	has := own.Permitted & own.Bounding
	if missing := o.capAdd.set &^ has; missing != 0 {
		return 0, 0, &usageError{
			o.origin("cap-add") + ": reaper itself does not have " + namesOf(missing),
			"give it to reaper, or to the container",
		}
	}
	drop, add = o.capDrop.set, o.capAdd.set
	if o.capDrop.all {
		drop = reap.AllCapabilities &^ add
	}
	if o.capAdd.all {
		add = has &^ drop
	}
	if root {
		add = 0
	}
	return drop, add, nil
}
