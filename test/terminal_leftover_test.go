package test

import "testing"

// While reaper waits for what the command has left it is a job like any other: ^Z
// gives the shell its prompt back, fg goes on waiting, ^C has the leftovers stopped.
func TestTerminalLeftovers(t *testing.T) {
	m := startBash(t)
	m.enter(`"$REAPER" -v --log-format json --leftovers wait -- sh -c 'sleep 1000 & echo ready'`)
	m.expect("waiting for what it has left")
	reaper := m.onlyChild(m.pid)
	sleep := m.onlyChild(reaper)
	m.awaitForeground(reaper)
	m.typeKeys(keyStop)
	m.expect(prompt)
	m.awaitStopped(reaper)
	if state := stateOf(sleep); state != 'S' {
		t.Errorf("the leftover is in state %c", state)
	}
	m.enter("fg")
	m.awaitForeground(reaper)
	m.await([]byte("S"), reaper)
	m.typeKeys(keyInterrupt)
	m.expect("stopping what it has left")
	m.awaitEnd(sleep, reaper)
	m.expect(prompt)
	m.enter("echo code $?")
	m.expect("code 0")
}
