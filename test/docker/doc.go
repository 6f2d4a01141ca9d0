// Package docker tests reaper in containers of a real engine: as their ENTRYPOINT, and
// as the docker-init of docker run --init. It starts a dockerd of its own and leaves
// nothing of it behind.
package docker
