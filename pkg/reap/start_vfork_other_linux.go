//go:build linux && !amd64 && !arm64

package reap

const haveVfork = false

func spawnExact(c *Command, file string, _ *image) (int, error) {
	return spawnByGo(c, file, c.Args)
}
