package notify

// ListenConfig tells where the command finds its listener. The zero value is for a
// command that runs as the same user as this process.
type ListenConfig struct {
	// AnyUser lets every user of the machine send, as a command needs that changes its
	// user, or is started as another one. Who has sent is in each message. Without it
	// only this user, and root, can send to a socket that has a path.
	AnyUser bool
	// Abstract has the socket in the abstract namespace at once (unix(7)), for a command
	// that has another root directory, or other mounts, when it sends.
	Abstract bool
}

const (
	// maxTurn is how many messages are received before something else gets its turn. It
	// is more than the kernel keeps for a socket (net.unix.max_dgram_qlen, 10, and 512
	// where systemd has set it): so what had been sent when the first was received is
	// among them.
	maxTurn = 1024
	// maxClosing is how many descriptors may be about to be closed before no more are
	// taken. Together with those of one message, at most 253 (SCM_MAX_FD), they are far
	// fewer than a process may have.
	maxClosing = 64
)

// signal makes a channel with one place say that something happened.
func signal(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default: // it says so already
	}
}
