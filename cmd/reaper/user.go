package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/reaper-init/reaper/pkg/reap"
)

// Where the names of users and groups are: passwd(5), group(5). Nothing else is asked,
// no NSS and no directory service, so that it works in any container.
const (
	passwdFile = "/etc/passwd"
	groupFile  = "/etc/group"
)

const (
	maxID    = 1<<32 - 2 // the number after it means to the kernel that nothing is to change
	hintUser = "use NAME, UID, NAME:GROUP or UID:GID; names are those of " + passwdFile + " and " + groupFile
)

// account is a user, and where it is at home.
type account struct {
	reap.User
	home string // "" if the user stays
}

// lookUp finds who is meant by NAME or UID, perhaps with :GROUP or :GID, as docker run
// does. Digits are a number, and need no entry: then the group is 0 and the home is /.
// Without a group it is that of the entry, with all others in which the name is a member;
// with one it is that alone. A group alone leaves the user.
func lookUp(spec, passwd, group string) (account, error) {
	name, groupName, _ := strings.Cut(spec, ":")
	if name == "" && groupName == "" {
		return account{}, &usageError{"neither a user nor a group", hintUser}
	}
	a := account{User: reap.User{UID: uint32(os.Getuid())}}
	var err error
	if name != "" {
		if a, name, err = lookUpUser(name, passwd); err != nil {
			return account{}, err
		}
	}
	if groupName != "" {
		a.GID, err = lookUpGroup(groupName, group)
		a.Groups = []uint32{a.GID}
		return a, err
	}
	a.Groups, err = groupsOf(name, a.GID, group)
	return a, err
}

// lookUpUser also returns the name, which is "" for a number without an entry.
func lookUpUser(text, file string) (a account, name string, err error) {
	id, isNumber, err := parseID(text)
	if err != nil {
		return a, "", err
	}
	entries, err := entriesOf(file)
	if err != nil {
		return a, "", err
	}
	for _, entry := range entries { // name:password:UID:GID:about:home:shell
		if len(entry) < 4 {
			continue
		}
		uid, uidOK, uidErr := parseID(entry[2])
		gid, gidOK, gidErr := parseID(entry[3])
		if !uidOK || !gidOK || uidErr != nil || gidErr != nil || isNumber && uid != id || !isNumber && entry[0] != text {
			continue
		}
		a = account{User: reap.User{UID: uid, GID: gid}, home: "/"}
		if len(entry) > 5 && entry[5] != "" {
			a.home = entry[5]
		}
		return a, entry[0], nil
	}
	if !isNumber {
		return a, "", &usageError{"no user of that name in " + file, hintUser}
	}
	return account{User: reap.User{UID: id}, home: "/"}, "", nil
}

func lookUpGroup(text, file string) (gid uint32, err error) {
	gid, isNumber, err := parseID(text)
	if err != nil || isNumber {
		return gid, err
	}
	entries, err := entriesOf(file)
	if err != nil {
		return 0, err
	}
	for _, entry := range entries { // name:password:GID:member,member
		if len(entry) < 3 || entry[0] != text {
			continue
		}
		if gid, isNumber, err := parseID(entry[2]); isNumber && err == nil {
			return gid, nil
		}
	}
	return 0, &usageError{"no group " + quoted(text) + " in " + file, hintUser}
}

// groupsOf is the groups of a user, the first of them first, as initgroups(3) has it.
func groupsOf(name string, first uint32, file string) ([]uint32, error) {
	groups := []uint32{first}
	if name == "" {
		return groups, nil
	}
	entries, err := entriesOf(file)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if len(entry) < 4 || !slices.Contains(strings.Split(entry[3], ","), name) {
			continue
		}
		if gid, isNumber, err := parseID(entry[2]); isNumber && err == nil && !slices.Contains(groups, gid) {
			groups = append(groups, gid)
		}
	}
	return groups, nil
}

// parseID reads what is all digits; anything else is no number, and a name.
func parseID(text string) (id uint32, isNumber bool, err error) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false, nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n > maxID {
		return 0, true, &usageError{fmt.Sprintf("%s is not from 0 to %d", text, maxID), hintUser}
	}
	return uint32(n), true, nil
}

// entriesOf reads the fields of each line. Comments, and what NIS has put there, are
// none. A file that is not there is empty.
func entriesOf(file string) ([][]string, error) {
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, &usageError{"cannot read " + file + ": " + cause(err), hintUser}
	}
	var entries [][]string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.ContainsAny(line[:1], "#+-") {
			entries = append(entries, strings.Split(line, ":"))
		}
	}
	return entries, nil
}
