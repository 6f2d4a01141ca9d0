package test

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// shell is an interactive shell on a terminal of its own, at its prompt.
func shell(t *testing.T, words ...string) *terminal {
	t.Helper()
	tty := onTerminal(t, asSubreaper, words[0], words[1:]...)
	tty.expect("prompt> ")
	return tty
}

func bash(t *testing.T) *terminal {
	t.Helper()
	return shell(t, "bash", "--norc", "--noprofile", "-i")
}

// jobsSay asks the shell for its jobs until the answer has the text: it looks
// after them when it is asked, and not at once.
func (tty *terminal) jobsSay(text string) {
	tty.t.Helper()
	asked := 0
	eventually(tty.t, "the shell knows: "+text, func() bool {
		asked++
		before := len(tty.printed())
		tty.keys(fmt.Sprintf("jobs; echo asked-$((%d+1000))\n", asked))
		tty.expect(fmt.Sprintf("asked-%d", asked+1000))
		return strings.Contains(tty.printed()[before:], text)
	})
}

// ^C reaches the command once: from the terminal, and not from reaper again
// (pitfall 43).
func TestTerminalInterrupt(t *testing.T) {
	tty := bash(t)
	tty.keys("$REAPER -- $PROBE signals\n")
	tty.expect("ready")
	tty.keys(ctrlC)
	tty.expect("got 2")
	// What came twice would be there before what comes next.
	unix.Kill(tty.find(reaperBin).PID, unix.SIGUSR1)
	tty.expect("got 10")
	if n := strings.Count(tty.printed(), "got 2"); n != 1 {
		t.Errorf("INT came %d times:\n%s", n, tty.printed())
	}
}

// ^Z stops the command and reaper, so that the shell has its prompt back; fg
// and bg continue both (pitfalls 44, 58).
func TestTerminalStop(t *testing.T) {
	for _, bin := range []string{"$REAPER", plainBin} {
		tty := bash(t)
		tty.keys(bin + " -- sh -c 'echo ready; while read line; do echo told $line; done'\n")
		tty.expect("ready")
		command := tty.find("sh", "-c")
		tty.hasTerminal(command.PID)
		tty.keys(ctrlZ)
		tty.expect("Stopped")
		tty.expect("prompt> ")
		tty.inState(command.PID, 'T')
		tty.inState(command.PPID, 'T')
		tty.keys("fg\n")
		tty.hasTerminal(command.PID)
		tty.keys("one\n")
		tty.expect("told one")
		tty.keys(ctrlZ)
		tty.expect("Stopped")
		// In the background it goes on until it wants to read. Then it is stopped
		// by SIGTTIN, and the shell knows.
		tty.keys("bg\n")
		tty.expect("&") // what bash says of a job that it continues there
		tty.jobsSay("Stopped")
		tty.inState(command.PID, 'T')
		tty.inState(command.PPID, 'T')
		tty.keys("fg\n")
		tty.hasTerminal(command.PID)
		tty.keys("two\n")
		tty.expect("told two")
		tty.keys(ctrlC)
		tty.expect("prompt> ")
		tty.keys("echo $?,$((60+60))\n")
		tty.expect("130,120")
	}
}

// The same with another shell.
func TestTerminalStopUnderDash(t *testing.T) {
	tty := shell(t, "sh", "-i")
	tty.keys("$REAPER -- $PROBE signals\n")
	tty.expect("ready")
	command := tty.find(probeBin, "signals")
	unix.Kill(command.PID, unix.SIGSTOP)
	tty.expect("Stopped")
	tty.expect("prompt> ")
	tty.keys("fg\n")
	tty.hasTerminal(command.PID)
	unix.Kill(tty.find(reaperBin).PID, unix.SIGUSR1)
	tty.expect("got 10")
}

// A job that runs in the background and is brought to the foreground gets no
// signal from the shell. It has the terminal as soon as it wants it.
func TestTerminalRunningJob(t *testing.T) {
	tty := bash(t)
	tty.keys("mkfifo $$.fifo; $REAPER -- sh -c 'echo ready; read go <'$$.fifo'; read line; echo told $line' & fifo=$$.fifo\n")
	t.Cleanup(func() { exec.Command("rm", "-f", fmt.Sprintf("%d.fifo", tty.pid)).Run() })
	tty.expect("ready")
	command := tty.find("sh", "-c")
	tty.keys("sh -c 'sleep 0.01; echo go >'$fifo & fg %1\n")
	tty.hasTerminal(command.PID)
	tty.keys("here\n")
	tty.expect("told here")
	tty.expect("prompt> ")
}

// A shell below reaper has job control and does not complain.
func TestTerminalShellBelow(t *testing.T) {
	tty := bash(t)
	tty.keys("$REAPER -- bash --norc --noprofile -i\n")
	tty.find("bash", "--norc", "--noprofile", "-i")
	tty.expect("prompt> ")
	tty.keys("sleep 1000\n")
	job := tty.find("sleep", "1000")
	tty.hasTerminal(job.PID)
	tty.keys(ctrlZ)
	tty.expect("Stopped")
	tty.keys("fg\n")
	tty.hasTerminal(job.PID)
	tty.keys(ctrlC)
	tty.expect("prompt> ")
	tty.keys("exit 7\n")
	tty.expect("prompt> ")
	tty.keys("echo code=$?\n")
	tty.expect("code=7")
	for _, complaint := range []string{"no job control", "cannot set terminal"} {
		if strings.Contains(tty.printed(), complaint) {
			t.Errorf("the shell complains:\n%s", tty.printed())
		}
	}
}

// A script that runs reaper can read from the terminal afterwards, also if the
// command could not be started; and ^Z stops the script as well.
func TestTerminalScript(t *testing.T) {
	tty := bash(t)
	for _, command := range []string{"true", "/etc/passwd", "no-such-command"} {
		tty.keys("sh -c '$REAPER -- " + command + "; read line; echo got-$line'\n")
		tty.find("sh", "-c")
		tty.keys("x\n")
		tty.expect("got-x")
		tty.expect("prompt> ")
	}
	tty.keys("sh -c '$REAPER -- $PROBE signals; echo done-$?'\n")
	tty.expect("ready")
	tty.keys(ctrlZ)
	tty.expect("got 20") // probe takes the signal
	unix.Kill(tty.find(probeBin, "signals").PID, unix.SIGSTOP)
	tty.expect("Stopped")
	tty.expect("prompt> ")
	tty.keys("fg\n")
	tty.hasTerminal(tty.find(probeBin, "signals").PID)
	tty.keys("\x04") // the end of the input ends probe
	tty.expect("done-0")
}

// A pager at the end of a pipe uses the keyboard although the command has a
// group of its own.
func TestTerminalPager(t *testing.T) {
	tty := bash(t)
	// The last of the pipe reads from the terminal, as a pager does.
	tty.keys("$REAPER -- sh -c 'echo page; sleep 1000' | { read line; echo $line; read key </dev/tty; echo key-$key; }\n")
	tty.expect("page")
	tty.find("sleep", "1000")
	tty.keys("q\n")
	tty.expect("key-q")
	tty.keys(ctrlC)
	tty.expect("prompt> ")
}

// No terminal, a closed one, one of another session: never fatal (pitfalls 9, 40).
func TestTerminalIsNotOurs(t *testing.T) {
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	defer slave.Close()
	foreign := func(cmd *exec.Cmd) { cmd.Stdin = slave }
	inPlaces(t, func(t *testing.T, at place) {
		launch(t, at, foreign, "--", "sh", "-c", "exit 6").wantCode(6)
		launchProgram(t, at, nil, probeBin, "exec", "-close", "0", reaperBin, "--", "sh", "-c", "exit 6").wantCode(6)
		launchProgram(t, at, foreign, plainBin, "--", "sh", "-c", "exit 6").wantCode(6)
	})
}

// A change of the window's size reaches the command.
func TestTerminalResize(t *testing.T) {
	tty := bash(t)
	tty.keys("$REAPER -- $PROBE signals\n")
	tty.expect("ready")
	if err := pty.Setsize(tty.master, &pty.Winsize{Rows: 30, Cols: 90}); err != nil {
		t.Fatal(err)
	}
	tty.expect("got " + strconv.Itoa(int(unix.SIGWINCH)))
}

// Where nobody could continue it, as in a container, ^Z does not stop the
// command for good; a SIGSTOP does, and TERM ends it nevertheless (pitfalls 28,
// 42).
func TestTerminalWithoutShell(t *testing.T) {
	inPlaces(t, func(t *testing.T, at place) {
		tty := onTerminal(t, at, reaperBin, "-vv", "--", "sh", "-c", "echo ready; while read line; do echo told $line; done")
		tty.expect("ready")
		command := tty.find("sh", "-c")
		tty.hasTerminal(command.PID)
		tty.keys(ctrlZ)
		tty.expect("stopped by job control")
		tty.keys("one\n")
		tty.expect("told one")
		unix.Kill(command.PID, unix.SIGSTOP)
		tty.expect("stopped by job control")
		tty.inState(command.PID, 'T')
		unix.Kill(command.PID, unix.SIGCONT)
		tty.keys("two\n")
		tty.expect("told two")
		unix.Kill(command.PID, unix.SIGSTOP)
		tty.inState(command.PID, 'T')
		unix.Kill(tty.pid, unix.SIGTERM)
		if got := tty.wait(); got != reap.ExitStatus(143) {
			t.Errorf("got %v, want exit 143\n%s", got, tty.printed())
		}
	})
}

// A stopped job ends by the shell's kill; and a TSTP for reaper is one for the
// command, which may take it and go on.
func TestTerminalKillOfJob(t *testing.T) {
	tty := bash(t)
	tty.keys("$REAPER -- $PROBE signals\n")
	tty.expect("ready")
	wrapper := tty.find(reaperBin)
	unix.Kill(wrapper.PID, unix.SIGTSTP)
	tty.expect("got 20")
	tty.inState(wrapper.PID, 'S')
	tty.keys("\x04")
	tty.expect("prompt> ")

	tty.keys("$REAPER -- sleep 1000\n")
	tty.hasTerminal(tty.find("sleep", "1000").PID)
	tty.keys(ctrlZ)
	tty.expect("Stopped")
	tty.expect("prompt> ")
	tty.keys("kill %1\n")
	tty.expect("prompt> ")
	eventually(t, "the shell knows the code", func() bool { // it tells at a prompt
		tty.keys("\n")
		tty.expect("prompt> ")
		return strings.Contains(tty.printed(), "Exit 143")
	})
}

// A terminal that wants no output from the background (stty tostop) neither
// stops reaper's own log nor makes it spin.
func TestTerminalLogInBackground(t *testing.T) {
	tty := bash(t)
	tty.keys("stty tostop; $REAPER -vv --log-format=console -- true & wait $!; echo code=$?; stty -tostop\n")
	tty.expect("command ended")
	tty.expect("code=0")
}

// When the terminal hangs up, reaper and the command end as they would alone.
func TestTerminalHangup(t *testing.T) {
	tty := onTerminal(t, asSubreaper, reaperBin, "--", "sleep", "1000")
	tty.hasTerminal(tty.find("sleep", "1000").PID)
	tty.master.Close()
	if got := tty.wait(); got != reap.ExitStatus(129) {
		t.Errorf("got %v, want exit 129", got)
	}
}

// The control: under tini ^Z stops the command and nobody tells the shell.
func TestTerminalStopControl(t *testing.T) {
	tini, err := exec.LookPath("tini")
	if err != nil {
		cannot(t, "tini is not installed")
	}
	tty := bash(t)
	tty.keys(tini + " -s -- sleep 1000\n")
	command := tty.find("sleep", "1000")
	tty.hasTerminal(command.PID)
	tty.keys(ctrlZ)
	tty.inState(command.PID, 'T')
	if p, err := reap.ReadProc(command.PPID); err != nil || p.State == 'T' {
		t.Errorf("tini stopped too: the control shows nothing (%v, %v)", p, err)
	}
	if strings.Contains(tty.printed(), "Stopped") {
		t.Errorf("the shell knows: the control shows nothing\n%s", tty.printed())
	}
}
