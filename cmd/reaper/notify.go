package main

import (
	"os"

	"github.com/reaper-init/reaper/pkg/supervise"
	"github.com/reaper-init/reaper/pkg/supervise/notify"
)

// notified reports whether the command is to tell of itself.
func (o *options) notified() bool {
	return o.notify || o.config.Type == supervise.NotifyType || o.config.Watchdog > 0
}

// hear opens the socket that the command tells of itself by, and looks for the service
// manager that is told of it in turn. The command is told of a watchdog of the manager
// too, so that it sends what the manager waits for.
func (p *process) hear(s *supervise.Supervisor, o *options, log *logger) (end func(), err error) {
	if !o.notified() {
		return func() {}, nil
	}
	own := os.Geteuid()
	becomes := s.Attributes.User != nil && int(s.Attributes.User.UID) != own // by a capability, if not root
	listener, err := notify.Listen(notify.ListenConfig{AnyUser: own == 0 || becomes})
	if err != nil {
		return nil, err
	}
	watchdog := s.Watchdog
	if watchdog == 0 {
		if watchdog, err = notify.ManagerWatchdog(p.env, os.Getpid()); err != nil {
			log.warning("watchdog of the service manager is not understood", err)
		}
	}
	s.Env = notify.Environ(s.Env, listener.Address(), watchdog)
	s.Messages = listener
	address, ok := getenv(p.env, "NOTIFY_SOCKET")
	if !ok {
		return listener.Close, nil
	}
	manager, err := notify.NewManager(address)
	if err != nil {
		log.warning("service manager cannot be told anything", err)
		return listener.Close, nil
	}
	s.Manager = manager
	return func() {
		listener.Close()
		manager.Close()
	}, nil
}
