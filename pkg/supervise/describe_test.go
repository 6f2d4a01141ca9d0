package supervise

import (
	"fmt"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// describe writes actions as "CommandStarted; send TERM; group CONT for TERM":
// events by their kind and what they tell, what is sent by its signal, and the
// one that it was sent for if that differs. An event whose PID is not pid shows it.
func describe(acts []action, pid int) string {
	words := make([]string, 0, len(acts))
	for _, a := range acts {
		if a.kind == actTell {
			words = append(words, describeEvent(a.tell, pid))
			continue
		}
		word := actionName(a.kind)
		if a.sig != 0 {
			word += " " + signalName(a.sig)
		}
		if a.from != 0 && a.from != a.sig {
			word += " for " + signalName(a.from)
		}
		words = append(words, word)
	}
	return strings.Join(words, "; ")
}

func describeEvent(ev Event, pid int) string {
	word := kindName(ev.Kind)
	if ev.PID != pid {
		word += fmt.Sprintf(" pid %d", ev.PID)
	}
	if ev.Name != "" {
		word += " " + ev.Name
	}
	if ev.Signal != 0 {
		word += " " + signalName(ev.Signal)
	}
	if ev.To != 0 && ev.To != ev.Signal {
		word += " as " + signalName(ev.To)
	}
	if ev.After != 0 {
		word += " " + ev.After.String()
	}
	if ev.Kind == GaveUp || ev.Kind == Restarting || ev.Kind == Probed || ev.Kind == Unhealthy {
		word += fmt.Sprintf(" %d failed", ev.Count)
	}
	if ev.Kind == CommandExited || ev.Kind == OrphanReaped || ev.Kind == DaemonEnded {
		word += " " + ev.Status.String()
	}
	if ev.Text != "" {
		word += fmt.Sprintf(" %q", ev.Text)
	}
	if ev.Err != nil {
		word += ": " + ev.Err.Error()
	}
	return word
}

// signalName is TERM for SIGTERM, and a number where there is no name.
func signalName(sig syscall.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return strings.TrimPrefix(name, "SIG")
	}
	return fmt.Sprint(int(sig))
}

// The names below are "" for what is no constant of the type. The switches list
// every one, which the linter checks, so a new one cannot be left out of tests.

func stateName(s state) string {
	switch s {
	case down:
		return "down"
	case starting:
		return "starting"
	case pausing:
		return "pausing"
	case up:
		return "up"
	case seeking:
		return "seeking"
	case delaying:
		return "delaying"
	case stopping:
		return "stopping"
	case killing:
		return "killing"
	case settling:
		return "settling"
	case draining:
		return "draining"
	case sweeping:
		return "sweeping"
	case backoff:
		return "backoff"
	case done:
		return "done"
	}
	return ""
}

func eventName(k eventKind) string {
	switch k {
	case evBegin:
		return "begin"
	case evStarted:
		return "started"
	case evFailed:
		return "failed"
	case evSignal:
		return "signal"
	case evCancelled:
		return "cancelled"
	case evDeadline:
		return "deadline"
	case evStopped:
		return "stopped"
	case evContinued:
		return "continued"
	case evResumed:
		return "resumed"
	case evEnded:
		return "ended"
	case evExited:
		return "exited"
	case evLost:
		return "lost"
	case evEmpty:
		return "empty"
	case evPoll:
		return "poll"
	case evStray:
		return "stray"
	case evSought:
		return "sought"
	case evNotify:
		return "notify"
	case evProbed:
		return "probed"
	}
	return ""
}

func actionName(k actionKind) string {
	switch k {
	case actStart:
		return "start"
	case actSend:
		return "send"
	case actSendGroup:
		return "group"
	case actTakeTerminal:
		return "take"
	case actGiveTerminal:
		return "give"
	case actSuspend:
		return "suspend"
	case actContinueOwn:
		return "continue own"
	case actStopSelf:
		return "stop self"
	case actFind:
		return "find"
	case actAsk:
		return "ask"
	case actSweep:
		return "sweep"
	case actProbe:
		return "probe"
	case actEndProbe:
		return "end probe"
	case actSeek:
		return "seek"
	case actConclude:
		return "conclude"
	case actTell:
		return "tell"
	}
	return ""
}

func kindName(k EventKind) string {
	switch k {
	case CommandStarted:
		return "CommandStarted"
	case CommandExited:
		return "CommandExited"
	case CommandLost:
		return "CommandLost"
	case CommandStopped:
		return "CommandStopped"
	case CommandContinued:
		return "CommandContinued"
	case SignalSent:
		return "SignalSent"
	case SignalDropped:
		return "SignalDropped"
	case SignalMissed:
		return "SignalMissed"
	case StopDelayed:
		return "StopDelayed"
	case StopAborted:
		return "StopAborted"
	case KillTimeout:
		return "KillTimeout"
	case KillRequested:
		return "KillRequested"
	case Suspended:
		return "Suspended"
	case OrphanReaped:
		return "OrphanReaped"
	case LimitReached:
		return "LimitReached"
	case LeftoversAsked:
		return "LeftoversAsked"
	case LeftoversAwaited:
		return "LeftoversAwaited"
	case LeftoversTimeout:
		return "LeftoversTimeout"
	case LeftoverEnded:
		return "LeftoverEnded"
	case LeftoversSurvived:
		return "LeftoversSurvived"
	case DaemonFollowed:
		return "DaemonFollowed"
	case DaemonEnded:
		return "DaemonEnded"
	case DaemonAwaited:
		return "DaemonAwaited"
	case DaemonNotFound:
		return "DaemonNotFound"
	case NotReady:
		return "NotReady"
	case Probed:
		return "Probed"
	case Unhealthy:
		return "Unhealthy"
	case Healthy:
		return "Healthy"
	case Ready:
		return "Ready"
	case Reloading:
		return "Reloading"
	case Reloaded:
		return "Reloaded"
	case Ending:
		return "Ending"
	case StatusTold:
		return "StatusTold"
	case MessageRefused:
		return "MessageRefused"
	case WatchdogMissed:
		return "WatchdogMissed"
	case Restarting:
		return "Restarting"
	case StartFailed:
		return "StartFailed"
	case GaveUp:
		return "GaveUp"
	case RestartCancelled:
		return "RestartCancelled"
	case CallFailed:
		return "CallFailed"
	}
	return ""
}
