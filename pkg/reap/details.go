package reap

// MaxFiles is how many open files [Details] names of one process.
const MaxFiles = 10

// Details is what /proc tells of one living process beyond [Proc], for a report.
// Names and arguments can hold any bytes.
type Details struct {
	Args      []string // the command line, see CommandLine
	Dir       string   // the working directory, "" if it is not known
	Listening []string // "tcp 0.0.0.0:8080", "tcp [::]:80", "udp 127.0.0.1:53", "unix /run/x.sock", "unix @abstract"
	Files     []File   // the most telling open files, at most MaxFiles
	MoreFiles int      // how many others it has open that would be worth a line
}

// File is an open file.
type File struct {
	FD     int
	Path   string // "/var/log/x", "pipe:[123]", "socket:[77]", "/tmp/x (deleted)"
	Write  bool   // open for writing; of a pipe, this end
	Shared bool   // the same pipe, socket, file or terminal as one of the caller's own 0 to 2
}

// Inspector reads [Details]. Its zero value is ready. It remembers the tables of
// sockets that it has read, one set for each network namespace, and the caller's
// own descriptors 0 to 2: so use one for one report, and throw it away. It is not
// for several goroutines.
type Inspector struct {
	tables map[socketTable]map[uint64]string // what the socket with this inode listens on
	own    []openFile                        // the caller's 0 to 2
	ready  bool                              // own has been read
}

// socketTable names one file of /proc/PID/net.
type socketTable struct{ namespace, name string }

// openFile tells an open file from others. For a pipe or a socket the path alone
// does; mount and inode are of a path, and empty where the kernel does not tell
// them.
type openFile struct{ path, mount, inode string }
