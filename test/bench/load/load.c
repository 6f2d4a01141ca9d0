// load is what the inits are measured with: it is the command that they run. It is C so
// that the pace of a storm is the kernel's and not that of a runtime. Each role tells
// "ready" on stdout, begins with the first byte on stdin, and tells what it has measured.
// Times are nanoseconds of CLOCK_MONOTONIC.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	failed = 99,
	patience_s = 120, // what does not come within this never comes
	sample_us = 250,  // how often the watcher of a storm looks
};

// slot is one orphan, or one signal.
struct slot {
	_Atomic int64_t pid;
	_Atomic int64_t begin; // the orphan is about to exit; the signal is about to be sent
	_Atomic int64_t end;   // the pid is free again; the handler has run
};

static struct slot *slots; // shared with all that are forked
static _Atomic int *count; // of a storm: how many slots have a pid; of signals: which is being sent

static void die(const char *what) {
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	_exit(failed);
}

static int64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void rest_us(long us) {
	struct timespec t = {us / 1000000, us % 1000000 * 1000};
	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		continue;
}

static int number(const char *text) {
	char *end;
	long n = strtol(text, &end, 10);
	if (*end || n < 0 || n > 10000000) {
		errno = EINVAL;
		die(text);
	}
	return n;
}

static void share(int n) {
	size_t size = (n + 1) * sizeof *slots;
	slots = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (slots == MAP_FAILED)
		die("mmap");
	memset(slots, 0, size); // no page fault later
	count = (_Atomic int *)&slots[n];
}

static pid_t forked(void) {
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	return pid;
}

static void await_child(pid_t pid) {
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die("waitpid");
	if (status)
		_exit(failed); // it has told why
}

static int is_gone(pid_t pid) { return kill(pid, 0) < 0 && errno == ESRCH; }

static void begin(void) {
	char byte;
	printf("ready\n");
	fflush(stdout);
	if (read(0, &byte, 1) != 1)
		_exit(0);
}

static void stay(void) {
	char byte;
	fflush(stdout);
	while (read(0, &byte, 1) == 1 || errno == EINTR)
		errno = 0;
}

static void tell_slots(int n) {
	printf("times");
	for (int i = 0; i < n; i++)
		printf(" %lld", (long long)(slots[i].end - slots[i].begin));
	printf("\n");
}

// idlers makes n orphans that sleep, until nobody has the other end of stdin any more:
// a bench that was killed leaves nobody.
static void idlers(int n) {
	pid_t parent = forked();
	if (parent)
		return await_child(parent);
	for (int i = 0; i < n; i++)
		if (!forked()) {
			struct pollfd hangup = {0, 0, 0};
			while (poll(&hangup, 1, -1) < 0)
				continue;
			break;
		}
	_exit(0);
}

// orphan makes one orphan, which runs in the slot, and is a child of the init when this
// returns.
static void orphan(struct slot *slot, int start) {
	pid_t parent = forked();
	if (parent)
		return await_child(parent);
	pid_t pid = forked();
	if (pid) {
		slot->pid = pid;
		_exit(0);
	}
	char byte;
	if (start >= 0 && read(start, &byte, 1) != 1)
		_exit(failed);
	slot->begin = now();
	_exit(0);
}

// watch notes when each pid of the storm is free again. The times are too long by what
// lies between two looks.
static void watch(int n) {
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	for (int head = 0; head < n; rest_us(sample_us))
		for (int i = head, there = *count; i < there; i++) {
			if (!slots[i].end && is_gone(slots[i].pid))
				slots[i].end = now();
			if (i == head && slots[i].end)
				head++;
		}
	_exit(0);
}

// storm: n orphans one after another, with idle others there; watched tells whether it is
// measured how old they get. It ends when all have been reaped.
static void storm(int n, int idle, int watched) {
	share(n);
	idlers(idle);
	pid_t watcher = 0;
	begin();
	if (watched && !(watcher = forked()))
		watch(n);
	int64_t start = now();
	for (int i = 0; i < n; i++) {
		orphan(&slots[i], -1);
		*count = i + 1;
	}
	int64_t last = now();
	for (int i = 0; i < n; i++)
		while (!is_gone(slots[i].pid)) {
			if (now() - last > patience_s * INT64_C(1000000000)) {
				errno = ETIME;
				die("orphans are not reaped");
			}
			rest_us(500);
		}
	int64_t took = now() - start;
	if (watcher) {
		await_child(watcher);
		tell_slots(n);
	}
	printf("took %lld\n", (long long)took);
	stay();
}

// lone: orphans that die one at a time, and how long each stays a zombie. From Linux 6.9
// on a poll of the pidfd ends when the pid is free again; before that it looks again each
// millisecond.
static void lone(int n, int gap_us) {
	share(n);
	begin();
	for (int i = 0; i < n; i++) {
		int start[2];
		if (pipe(start) < 0)
			die("pipe");
		orphan(&slots[i], start[0]);
		pid_t pid = slots[i].pid;
		struct pollfd handle = {syscall(SYS_pidfd_open, pid, 0), 0, 0};
		if (handle.fd < 0)
			die("pidfd_open");
		rest_us(gap_us);
		if (write(start[1], "", 1) != 1)
			die("write");
		while (!is_gone(pid))
			poll(&handle, 1, 1);
		slots[i].end = now();
		close(handle.fd), close(start[0]), close(start[1]);
	}
	tell_slots(n);
	stay();
}

static int answer[2];

static void on_signal(int sig) {
	(void)sig;
	slots[*count].end = now();
	if (write(answer[1], "", 1) != 1)
		_exit(failed);
}

static void await_answer(void) {
	char byte;
	struct pollfd p = {answer[0], POLLIN, 0};
	if (poll(&p, 1, patience_s * 1000) != 1 || read(answer[0], &byte, 1) != 1)
		die("a signal did not arrive");
}

// signals: a process sends n signals to the target, each after the one before has been
// handled here and a pause.
static void signals(int n, int gap_us, const char *to) {
	share(n);
	if (pipe(answer) < 0)
		die("pipe");
	pid_t target = strcmp(to, "self") ? getppid() : getpid();
	struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	sigaction(SIGUSR1, &act, NULL);
	begin();
	pid_t sender = forked();
	if (!sender) {
		signal(SIGUSR1, SIG_IGN); // some inits send to the whole group
		for (int i = 0; i < n; i++) {
			rest_us(gap_us);
			*count = i;
			slots[i].begin = now();
			if (kill(target, SIGUSR1) < 0)
				die("kill");
			await_answer();
		}
		_exit(0);
	}
	await_child(sender);
	tell_slots(n);
	stay();
}

// leave leaves n processes behind that obey TERM.
static void leave(int n) {
	idlers(n);
	begin();
	printf("ended %lld\n", (long long)now());
	fflush(stdout);
	_exit(0);
}

// finish ends amid a storm, after n orphans. The storm goes on until it is killed, or for a
// while.
static void finish(int n) {
	const int64_t limit = 5 * INT64_C(1000000000);
	share(1);
	begin();
	int64_t start = now();
	if (!forked()) {
		for (; now() - start < limit; ++*count)
			orphan(&slots[0], -1);
		_exit(0);
	}
	while (*count < n && now() - start < limit)
		rest_us(500);
	printf("ending %lld\n", (long long)now());
	fflush(stdout);
	_exit(0);
}

// mark tells how long it took from enter to here.
static void mark(void) {
	int64_t here = now();
	const char *start = getenv("BENCH_START");
	printf("took %lld\n", start ? (long long)(here - atoll(start)) : -1);
}

// enter mounts the /proc of a new pid namespace, if it is told to, and becomes an init.
// The mount namespace is private.
static void enter(int proc, char **argv) {
	char start[32];
	if (proc && mount("proc", "/proc", "proc", 0, NULL) < 0)
		die("mount /proc");
	snprintf(start, sizeof start, "%lld", (long long)now());
	setenv("BENCH_START", start, 1);
	execv(argv[0], argv);
	die(argv[0]);
}

// children sends a signal to each child.
static void children(int sig) {
	char path[64];
	snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
	FILE *file = fopen(path, "r");
	if (!file)
		die(path);
	for (int pid; fscanf(file, "%d", &pid) == 1;)
		kill(pid, sig);
	fclose(file);
}

// loop is the least that stops what is left: it waits for the command, asks each child to
// end, and waits for all.
static void loop(char **argv) {
	if (getpid() != 1 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		die("prctl");
	pid_t command = forked();
	if (!command) {
		execv(argv[0], argv);
		die(argv[0]);
	}
	for (pid_t pid; (pid = wait(NULL)) != command;)
		if (pid < 0)
			die("wait");
	children(SIGTERM);
	while (wait(NULL) > 0)
		continue;
}

int main(int argc, char **argv) {
	const char *role = argc > 1 ? argv[1] : "";
	if (argc == 5 && !strcmp(role, "storm"))
		storm(number(argv[2]), number(argv[3]), number(argv[4]));
	else if (argc == 4 && !strcmp(role, "lone"))
		lone(number(argv[2]), number(argv[3]));
	else if (argc == 5 && !strcmp(role, "signals"))
		signals(number(argv[2]), number(argv[3]), argv[4]);
	else if (argc == 3 && !strcmp(role, "leave"))
		leave(number(argv[2]));
	else if (argc == 3 && !strcmp(role, "exit"))
		finish(number(argv[2]));
	else if (argc == 2 && !strcmp(role, "rest"))
		begin();
	else if (argc == 2 && !strcmp(role, "mark"))
		mark();
	else if (argc > 3 && !strcmp(role, "enter"))
		enter(number(argv[2]), argv + 3);
	else if (argc > 2 && !strcmp(role, "loop"))
		loop(argv + 2);
	else {
		fprintf(stderr, "usage: load ROLE [ARGUMENT...]; see load.c\n");
		return failed;
	}
	return 0;
}
