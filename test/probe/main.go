// Probe is a program with bad manners, for the tests.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Each way to misbehave, by the first argument.
func main() {
	if len(os.Args) < 2 {
		die(errUsage)
	}
	rest := os.Args[2:]
	switch os.Args[1] {
	case "signals":
		printSignals()
	case "daemon":
		daemonize()
	case "daemon-middle":
		daemonMiddle()
	case "daemon-end":
		fmt.Println("daemon", os.Getpid())
		stay()
	case "screen":
		screen(rest)
	case "obey":
		obey(rest)
	case "zombies":
		keepZombies(rest)
	case "listen":
		listen()
	case "negligent":
		neglect(rest)
	case "exec":
		execAs(rest)
	case "tell":
		tell(rest)
	default:
		die(fmt.Errorf("unknown way to misbehave: %s", os.Args[1]))
	}
}

var errUsage = errors.New("usage: probe signals | screen FILE | daemon | obey CODE | zombies N [stay] | listen | negligent COMMAND | exec [OPTIONS] COMMAND | tell TEXT")

func die(err error) {
	fmt.Fprintln(os.Stderr, "probe:", err)
	os.Exit(99)
}

// printSignals tells each signal that comes, by its number, until stdin ends.
func printSignals() {
	sigs := make(chan os.Signal, 256)
	signal.Notify(sigs)
	fmt.Println("ready", os.Getpid())
	ended := make(chan struct{})
	go func() {
		untilInputEnds()
		close(ended)
	}()
	for {
		select {
		case sig := <-sigs:
			if sig == unix.SIGURG && os.Getenv("PROBE_URG") == "" {
				continue // this program's own runtime sends it
			}
			fmt.Println("got", int(sig.(syscall.Signal)))
		case <-ended:
			return
		}
	}
}

// screen tells what a terminal tells its programs: the keys, and its size. It ends with 5
// by a hang-up, which it writes to the file, as there is no terminal any more.
func screen(args []string) {
	sigs := make(chan os.Signal, 256)
	signal.Notify(sigs, unix.SIGINT, unix.SIGWINCH, unix.SIGHUP)
	fmt.Println("ready")
	for sig := range sigs {
		switch sig {
		case unix.SIGINT:
			fmt.Println("interrupted")
		case unix.SIGWINCH:
			if size, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ); err == nil { // else it has hung up since
				fmt.Println("size", size.Row, size.Col)
			}
		case unix.SIGHUP:
			if err := os.WriteFile(args[0], []byte("hup"), 0o600); err != nil {
				die(err)
			}
			os.Exit(5)
		}
	}
}

// obey tells its pid and each HUP, and ends by TERM with the code. A shell whose trap
// is due just before a read begins it all the same, and does nothing until it ends.
func obey(args []string) {
	code, err := strconv.Atoi(args[0])
	if err != nil {
		die(err)
	}
	sigs := make(chan os.Signal, 16)
	signal.Notify(sigs, unix.SIGHUP, unix.SIGTERM)
	fmt.Println("daemon", os.Getpid())
	for sig := range sigs {
		if sig == unix.SIGTERM {
			fmt.Println("term")
			os.Exit(code)
		}
		fmt.Println("hup")
	}
}

// daemonize forks twice with a session in between, as daemon(3) does.
func daemonize() {
	pid := fork("daemon-middle", &syscall.SysProcAttr{Setsid: true})
	var ws unix.WaitStatus
	if _, err := unix.Wait4(pid, &ws, 0, nil); err != nil {
		die(err)
	}
	fmt.Println("ready", os.Getpid())
	untilInputEnds()
}

func daemonMiddle() { fork("daemon-end", nil) }

func fork(role string, attr *syscall.SysProcAttr) (pid int) {
	self, err := os.Executable()
	if err != nil {
		die(err)
	}
	pid, err = syscall.ForkExec(self, []string{"probe", role}, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: attr,
	})
	if err != nil {
		die(err)
	}
	return pid
}

// keepZombies starts children that end at once, and never waits for them.
func keepZombies(args []string) {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		die(err)
	}
	for range n {
		if _, err := syscall.ForkExec("/bin/true", []string{"true"}, nil); err != nil {
			die(err)
		}
	}
	fmt.Println("ready", os.Getpid())
	if len(args) > 1 {
		stay()
	}
	untilInputEnds()
}

// listen waits for connections that it never takes.
func listen() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		die(err)
	}
	fmt.Println("listening", l.Addr())
	stay()
}

// tell sends each text to the NOTIFY_SOCKET.
func tell(texts []string) {
	to := &net.UnixAddr{Name: os.Getenv("NOTIFY_SOCKET"), Net: "unixgram"}
	conn, err := net.DialUnix("unixgram", nil, to)
	if err != nil {
		die(err)
	}
	for _, text := range texts {
		if _, err := conn.Write([]byte(text)); err != nil {
			die(err)
		}
	}
	// It is there until all has been taken in, as systemd-notify is: whoever hears of it
	// can ask whose child it is (sd_notify_barrier(3)).
	r, w, err := os.Pipe()
	if err != nil {
		die(err)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		die(err)
	}
	rights := unix.UnixRights(int(w.Fd()))
	if cerr := raw.Control(func(fd uintptr) { err = unix.Sendmsg(int(fd), []byte("BARRIER=1"), rights, nil, 0) }); cerr != nil || err != nil {
		die(errors.Join(cerr, err))
	}
	w.Close()
	_, _ = r.Read(make([]byte, 1)) // it ends when reaper has closed the other end
}

// stay waits until a signal ends the program. A select{} would be a deadlock to
// Go, whose own signals end a pause.
func stay() {
	for {
		unix.Pause()
	}
}

// neglect is an init that waits for its command alone: the control for every
// test of reaping. It tells when the command has ended and stays.
func neglect(command []string) {
	if os.Getpid() != 1 {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			die(err)
		}
	}
	pid, err := syscall.ForkExec(command[0], command, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2},
	})
	if err != nil {
		die(err)
	}
	var ws unix.WaitStatus
	for {
		if _, err := unix.Wait4(pid, &ws, 0, nil); err == nil {
			break
		}
	}
	fmt.Println("neglected")
	untilInputEnds()
	os.Exit(ws.ExitStatus())
}

func untilInputEnds() {
	in := bufio.NewReader(os.Stdin)
	for {
		if _, err := in.ReadByte(); err != nil {
			return
		}
	}
}

// execAs replaces this program by another that inherits something unusual.
func execAs(args []string) {
	f := flag.NewFlagSet("exec", flag.ExitOnError)
	block := f.Uint64("block", 0, "signals to block, as a bit set")
	ignore := f.Uint64("ignore", 0, "signals to ignore, as a bit set")
	closed := f.String("close", "", "descriptors to close, each a digit")
	nofile := f.Uint64("nofile", 0, "soft RLIMIT_NOFILE")
	noPending := f.Bool("no-pending", false, "set RLIMIT_SIGPENDING to 0")
	forbid := f.Uint("forbid", 0, "number of a system call that is to fail with ENOSYS")
	extra := f.String("env", "", "two entries to add to the environment, with a comma between")
	if err := f.Parse(args); err != nil {
		die(err)
	}
	runtime.LockOSThread() // the thread that calls execve lends its mask
	if *nofile != 0 {
		var lim unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
			die(err)
		}
		lim.Cur = *nofile
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
			die(err)
		}
	}
	if *noPending {
		if err := unix.Setrlimit(unix.RLIMIT_SIGPENDING, &unix.Rlimit{}); err != nil {
			die(err)
		}
	}
	for sig := range 64 {
		if *ignore&(1<<sig) != 0 {
			action := [4]uint64{1} // SIG_IGN
			_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig+1), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
			if errno != 0 {
				die(errno)
			}
		}
	}
	mask := unix.Sigset_t{}
	mask.Val[0] = *block
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &mask, nil); err != nil {
		die(err)
	}
	env := os.Environ()
	if *extra != "" {
		env = append(env, strings.Split(*extra, ",")...)
	}
	for _, digit := range *closed {
		unix.Close(int(digit - '0'))
	}
	if *forbid != 0 {
		forbidCall(uint32(*forbid))
	}
	path, err := exec.LookPath(f.Arg(0))
	if err != nil {
		die(err)
	}
	die(unix.Exec(path, f.Args(), env))
}

// forbidCall has a system call fail from now on, for this thread and what it executes.
func forbidCall(number uint32) {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // seccomp_data.nr
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: number, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		die(err)
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0); err != nil {
		die(err)
	}
}
