package reap

import (
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/reaper-init/reaper"

// goList runs go list at the root of the module and returns its lines.
func goList(t *testing.T, args ...string) []string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command here")
	}
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// This package is for any program: it brings nothing but the standard library
// and system calls.
func TestDependencies(t *testing.T) {
	got := goList(t, "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./pkg/reap")
	slices.Sort(got)
	if want := []string{module + "/pkg/reap", module + "/pkg/reap/internal/nofile", "golang.org/x/sys/unix"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	// It must be initialized before package syscall is.
	if got := goList(t, "-f", `{{join .Imports " "}}`, "./pkg/reap/internal/nofile"); got[0] != "" {
		t.Errorf("nofile imports %q", got)
	}
}

// What a package must not import itself, and why.
func TestImports(t *testing.T) {
	const arrow = "no arrow goes sideways, nor up"
	leaf := map[string]string{ // of pkg/supervise
		module + "/pkg/supervise":        arrow,
		module + "/pkg/supervise/notify": arrow,
		module + "/pkg/supervise/health": arrow,
		module + "/pkg/supervise/output": arrow,
		module + "/cmd/reaper":           arrow,
		"golang.org/x/sys/unix":          "system calls are in pkg/reap, or those of package syscall",
		"go.uber.org/zap":                "cmd/reaper logs",
		"go.uber.org/zap/zapcore":        "cmd/reaper logs",
		"log":                            "cmd/reaper logs",
		"os/exec":                        "its Wait races with wait4(-1)",
		"os/signal":                      "signals are values that flow in",
		"net/http":                       "3.3 MB and twice the start; what a health check needs of it is little",
		"crypto/tls":                     "most of net/http is that; --health-cmd can ask by https",
	}
	for pkg, forbidden := range map[string]map[string]string{
		"./pkg/reap": {
			"os/exec": "its Wait races with wait4(-1)",
			"log":     "cmd/reaper logs",
		},
		"./pkg/reap/leaktest": {
			"os/exec": "system calls of pkg/reap are enough",
			"testing": "it registers flags in whatever imports it",
			"log":     "it returns errors",
		},
		"./pkg/supervise": {
			"go.uber.org/zap":         "it emits events, and cmd/reaper logs them",
			"go.uber.org/zap/zapcore": "it emits events, and cmd/reaper logs them",
			"golang.org/x/sys/unix":   "system calls are in pkg/reap",
			"os/exec":                 "its Wait races with wait4(-1)",
			"os/signal":               "signals are values that flow in",
			"log":                     "it emits events, and cmd/reaper logs them",
		},
		"./pkg/supervise/notify": leaf,
		"./pkg/supervise/health": leaf,
		"./pkg/supervise/output": leaf,
		"./cmd/reaper": {
			"go.uber.org/zap": "it brings net/http; zapcore does not",
			"os/exec":         "its Wait races with wait4(-1)",
		},
	} {
		for _, imported := range goList(t, "-f", `{{join .Imports "\n"}}`, pkg) {
			if why, ok := forbidden[imported]; ok {
				t.Errorf("%s imports %s: %s", pkg, imported, why)
			}
		}
	}
	// No arrow goes up.
	for _, pkg := range goList(t, "-deps", "./pkg/supervise") {
		if strings.HasPrefix(pkg, module+"/cmd") || strings.HasPrefix(pkg, "go.uber.org/") || pkg == "net/http" || pkg == "crypto/tls" {
			t.Errorf("pkg/supervise needs %s", pkg)
		}
	}
}

// Signals are taken by cmd/reaper, and SIGCHLD by Orphans, for programs that have no
// loop of their own.
func TestOnlyOrphansTakeSignals(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || name == "orphans_linux.go" {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imported := range file.Imports {
			if imported.Path.Value == `"os/signal"` {
				t.Errorf("%s imports os/signal", name)
			}
		}
	}
}

func TestEveryPackageIsDocumented(t *testing.T) {
	for _, line := range goList(t, "-f", "{{.ImportPath}}\t{{.Doc}}", "./...") {
		pkg, doc, _ := strings.Cut(line, "\t")
		if doc == "" {
			t.Errorf("%s has no doc comment", pkg)
		}
	}
}
