package test

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// make build gives a static and stripped binary, and the same one from another
// directory.
func TestBuildIsStaticAndReproducible(t *testing.T) {
	needExact(t)
	elsewhere := t.TempDir()
	for _, part := range []string{"cmd", "pkg", "go.mod", "go.sum", "Makefile"} {
		if out, err := exec.Command("cp", "-r", filepath.Join("..", part), elsewhere).CombinedOutput(); err != nil {
			t.Fatalf("copy %s: %v\n%s", part, err, out)
		}
	}
	var first []byte
	for _, dir := range []string{"..", elsewhere} {
		bin := filepath.Join(t.TempDir(), "reaper")
		if out, err := exec.Command("make", "-s", "-C", dir, "build", "VERSION=same", "BIN="+bin).CombinedOutput(); err != nil {
			t.Fatalf("build in %s: %v\n%s", dir, err, out)
		}
		built, err := os.ReadFile(bin)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = built
		}
		if !bytes.Equal(first, built) {
			t.Errorf("the build in %s differs", dir)
		}
	}
	file, err := elf.NewFile(bytes.NewReader(first))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("it is not static")
		}
	}
	if symbols, err := file.Symbols(); err == nil {
		t.Errorf("it is not stripped: %d symbols", len(symbols))
	}
}
